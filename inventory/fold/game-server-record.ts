import type { GameServerEvent } from '../../shared/events/event.ts';
import { isSameJson } from './same-json.ts';
import { SequenceSet } from './sequence-set.ts';

/** An event, and when the queue took it: epoch milliseconds of one clock for all senders. */
export interface Heard<E> {
  readonly event: E;
  readonly heardMs: number;
}

/**
 * What was heard of one game server, kept so that the order of arrival cannot matter: each of the three is the greatest of its
 * kind, and {@link truthOf} chooses among them.
 */
export interface GameServerRecord {
  readonly id: string;
  /** The highest sequence of what the wrapper said while it lived. */
  living: Heard<GameServerEvent> | undefined;
  /** The agent's latest word that the wrapper died without one. */
  lost: Heard<GameServerEvent> | undefined;
  /** The wrapper's last word. */
  terminated: Heard<GameServerEvent> | undefined;
  readonly seen: SequenceSet;
  /** Apart from `seen`: the agent guesses a sequence that the wrapper may have used too. */
  readonly seenLost: SequenceSet;
}

/** `newer`: changed what is known. `older`: counted, but something newer is known. `repeat`: had been folded before. */
export type Folded = 'newer' | 'older' | 'repeat' | 'conflict';

export function newGameServerRecord(id: string): GameServerRecord {
  return {
    id,
    living: undefined,
    lost: undefined,
    terminated: undefined,
    seen: SequenceSet.empty(),
    seenLost: SequenceSet.empty(),
  };
}

/** Folds one event into the record. `conflict`: an event of this sequence is known and says something else; it stays. */
export function foldGameServer(record: GameServerRecord, heard: Heard<GameServerEvent>): Folded {
  const { status, sequence } = heard.event.data;
  const slot = status === 'lost' || status === 'terminated' ? status : 'living';
  if (!(slot === 'lost' ? record.seenLost : record.seen).add(sequence)) return foldRepeat(record, heard);
  const known = record[slot];
  const isNewer =
    known === undefined || (slot === 'lost' ? isSaidLater(heard, known) : sequence > known.event.data.sequence);
  if (!isNewer) return 'older';
  record[slot] = heard;
  return 'newer';
}

function foldRepeat(record: GameServerRecord, heard: Heard<GameServerEvent>): Folded {
  const { data, type } = heard.event;
  const slots = data.status === 'lost' ? (['lost'] as const) : (['living', 'terminated'] as const);
  for (const slot of slots) {
    const known = record[slot];
    if (known === undefined || known.event.data.sequence !== data.sequence) continue;
    if (known.event.type !== type || !isSameJson(known.event.data, data)) return 'conflict';
    // Sent twice, for example because the first acknowledgement was lost: its lease counts from the first time.
    if (heard.heardMs < known.heardMs) record[slot] = heard;
  }
  return 'repeat';
}

/** Lost and living events of one server come from one machine, hence from one clock. */
function isSaidLater(one: Heard<GameServerEvent>, other: Heard<GameServerEvent>): boolean {
  const oneMs = Date.parse(one.event.time);
  const otherMs = Date.parse(other.event.time);
  return oneMs > otherMs || (oneMs === otherMs && one.event.data.sequence > other.event.data.sequence);
}

/**
 * The event that counts. `terminated` is final. The agent's `lost` is too, unless the wrapper spoke after it: what a dead
 * wrapper had sent before can still arrive, with a higher sequence than the agent knew of, and must not revive it.
 */
export function truthOf({ living, lost, terminated }: GameServerRecord): Heard<GameServerEvent> | undefined {
  if (terminated !== undefined) return terminated;
  if (living === undefined || lost === undefined) return living ?? lost;
  const hasSpokenSince = living.event.data.sequence > lost.event.data.sequence && isSaidLater(living, lost);
  return hasSpokenSince ? living : lost;
}

/** A sender whose clock jumped must not hold a dead server in the table for years. */
const maxLeaseMs = 24 * 3_600_000;

/**
 * Until when the event keeps its server alive, in the clock of `heardMs`; Infinity where it needs no lease. Only the lease's
 * length is taken from the sender: its clock may be wrong.
 */
export function leaseUntilMs({ event, heardMs }: Heard<GameServerEvent>): number {
  const { lease_expires_at: end } = event.data;
  if (end === null || event.data.status === 'terminated' || event.data.status === 'lost') return Infinity;
  return heardMs + Math.min(Math.max(Date.parse(end) - Date.parse(event.time), 0), maxLeaseMs);
}
