import type { Clock } from '../../../shared/clock.ts';
import { type GameServerData, type GameServerEvent, gameServerEvent } from '../../../shared/events/event.ts';
import type { Inventory, PublishOutcome } from '../../../shared/events/inventory.ts';

export type Answer = (ids: readonly string[], signal: AbortSignal) => PublishOutcome | Promise<PublishOutcome>;

export const takeAll: Answer = (ids) => ({ published: ids, refused: [] });
export const fail: Answer = () => Promise.reject(new Error('no route'));
/** Answers when the call is given up, as an inventory that keeps its contract does. */
export const hang: Answer = (_, signal) =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));

/** Answers its calls as told, one answer a call, the last one for ever. Remembers what it was given. */
export class ScriptedInventory implements Inventory {
  readonly calls: string[][] = [];
  readonly published: string[] = [];
  readonly #answers: Answer[];

  constructor(...answers: readonly Answer[]) {
    this.#answers = [...answers];
  }

  async publish(events: readonly { readonly id: string }[], signal: AbortSignal): Promise<PublishOutcome> {
    const ids = events.map(({ id }) => id);
    this.calls.push(ids);
    const answer = (this.#answers.length > 1 ? this.#answers.shift() : this.#answers[0]) ?? takeAll;
    const outcome = await answer(ids, signal);
    this.published.push(...outcome.published);
    return outcome;
  }
}

/** Sleeps take a turn of the event loop and are written down. */
export class SleeplessClock implements Clock {
  readonly sleeps: number[] = [];

  now(): number {
    return 0;
  }

  async sleep(ms: number): Promise<void> {
    this.sleeps.push(ms);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const data: GameServerData = {
  region: 'eu-west-1',
  zone: null,
  node: 'n1',
  instance_id: null,
  instance_type: null,
  lifecycle: null,
  public_hostname: null,
  public_port: null,
  status: 'ready',
  type: 'game-server',
  game_server_id: 'gs-1',
  sequence: 1,
  lease_expires_at: '2026-04-24T17:11:44Z',
  public_ip: null,
  ports: {},
  pod: null,
  namespace: null,
  labels: {},
  players: null,
  deadline: null,
  reason: null,
  exit_code: null,
};

/** An event with the id `SERVER/SEQUENCE/NAME`. */
export function event(
  server: string,
  sequence: number,
  name: 'ready' | 'heartbeat' | 'terminating' = 'ready',
  more: Partial<GameServerData> = {},
): GameServerEvent {
  const status = name === 'heartbeat' ? 'ready' : name;
  return gameServerEvent(name, { ...data, ...more, status, game_server_id: server, sequence }, 0);
}
