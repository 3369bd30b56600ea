import type { GameServerEvent } from '../../shared/events/event.ts';
import { isSameJson } from './same-json.ts';
import { SequenceSet } from './sequence-set.ts';

/** An event and the time at which the queue took it: epoch milliseconds, by one clock for all senders. */
export interface Heard<E> {
  readonly event: E;
  readonly heardMs: number;
}

/**
 * What is known of one game server, independent of the order of arrival: each of the three is the greatest of its kind,
 * and {@link truthOf} chooses among them.
 */
export interface GameServerRecord {
  readonly id: string;
  /** The event with the highest sequence that the wrapper sent while it lived. */
  living: Heard<GameServerEvent> | undefined;
  /** The agent's latest report that the wrapper died silently. */
  lost: Heard<GameServerEvent> | undefined;
  /** The wrapper's last event. */
  terminated: Heard<GameServerEvent> | undefined;
  readonly seen: SequenceSet;
  /** Separate from `seen`: the agent guesses a sequence, which the wrapper may have used as well. */
  readonly seenLost: SequenceSet;
}

/** `newer`: changed what is known. `older`: counted, but a newer event is known. `repeat`: was folded before. */
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

/** Folds one event into the record. `conflict`: a known event of the same sequence has other content, and stays. */
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
    // The event was sent twice, for example because an acknowledgement was lost: its lease counts from the first time.
    if (heard.heardMs < known.heardMs) record[slot] = heard;
  }
  return 'repeat';
}

/** A game server's lost and living events come from one machine, so their times are comparable. */
function isSaidLater(one: Heard<GameServerEvent>, other: Heard<GameServerEvent>): boolean {
  const oneMs = Date.parse(one.event.time);
  const otherMs = Date.parse(other.event.time);
  return oneMs > otherMs || (oneMs === otherMs && one.event.data.sequence > other.event.data.sequence);
}

/**
 * The event that counts. `terminated` is final. The agent's `lost` is final too, unless the wrapper sent something
 * after it. An event that a dead wrapper had sent before may still arrive, with a higher sequence than the agent knew,
 * and must not revive it.
 */
export function truthOf({ living, lost, terminated }: GameServerRecord): Heard<GameServerEvent> | undefined {
  if (terminated !== undefined) return terminated;
  if (living === undefined || lost === undefined) return living ?? lost;
  const hasSpokenSince = living.event.data.sequence > lost.event.data.sequence && isSaidLater(living, lost);
  return hasSpokenSince ? living : lost;
}

/** A sender whose clock jumped must not keep a dead server in the table for years. */
const maxLeaseMs = 24 * 3_600_000;

/**
 * Time until which the event keeps its game server alive, by the clock of `heardMs`; Infinity: it needs no lease. Only
 * the length of the lease is the sender's, because its clock may be wrong.
 */
export function leaseUntilMs({ event, heardMs }: Heard<GameServerEvent>): number {
  const { lease_expires_at: end } = event.data;
  if (end === null || event.data.status === 'terminated' || event.data.status === 'lost') return Infinity;
  return heardMs + Math.min(Math.max(Date.parse(end) - Date.parse(event.time), 0), maxLeaseMs);
}
