import { codes } from '../sdk-error.ts';
import type { Answer } from './answer.ts';
import { maxValueCharacters } from './list-calls.ts';
import type { PlayerCall } from './sdk-call.ts';
import { changed, type Players, type SdkModel } from './sdk-model.ts';

/** Limit for stored players, whatever capacity the game sets: all ids are sent to every watcher. */
const maxPlayers = 1000;
const nobody: Players = { ids: new Set(), capacity: 0n };

export function answerPlayerCall(model: SdkModel, call: PlayerCall): Answer {
  const players = model.players ?? nobody;
  const { ids, capacity } = players;
  switch (call.kind) {
    case 'connect-player':
      return connect(model, players, call.playerId);
    case 'disconnect-player': {
      if (!ids.has(call.playerId)) return { model, reply: { bool: false } };
      const left = new Set(ids);
      left.delete(call.playerId);
      return { model: changed(model, { players: { capacity, ids: left } }), reply: { bool: true } };
    }
    case 'set-player-capacity':
      return { model: changed(model, { players: { ids, capacity: call.capacity } }), reply: {} };
    case 'is-player-connected':
      return { model, reply: { bool: ids.has(call.playerId) } };
    case 'get-player-capacity':
      return { model, reply: { count: String(capacity) } };
    case 'get-player-count':
      return { model, reply: { count: String(ids.size) } };
    case 'get-connected-players':
      return { model, reply: { list: [...ids] } };
  }
}

function connect(model: SdkModel, { ids, capacity }: Players, playerId: string): Answer {
  if (ids.has(playerId)) return { model, reply: { bool: false } };
  const isFull = BigInt(ids.size) >= capacity || ids.size >= maxPlayers;
  const message = isFull ? 'players are already at capacity' : 'the player id is too long';
  if (isFull || playerId.length > maxValueCharacters) return { model, error: { code: codes.unknown, message } };
  return { model: changed(model, { players: { capacity, ids: new Set(ids).add(playerId) } }), reply: { bool: true } };
}
