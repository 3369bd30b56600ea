import type {
  GameServerEvent,
  GameServerState,
  InventoryEvent,
  NodeEvent,
  PlacementData,
} from '../../shared/events/event.ts';
import {
  foldGameServer,
  type GameServerRecord,
  type Heard,
  leaseUntilMs,
  newGameServerRecord,
  truthOf,
} from './game-server-record.ts';
import { NodeBook, type NodeRecord, nodeKey } from './node-book.ts';
import { RecentIds } from './recent-ids.ts';
import { type GameServerRow, gameServerRow, isEnded, isSameToSee, type NodeRow, nodeRow } from './rows.ts';

/** What somebody who looks at the table would notice. `before` is null where the game server is new to it. */
export type Change =
  | { readonly kind: 'game-server'; readonly row: GameServerRow; readonly before: GameServerState | null }
  | { readonly kind: 'game-server-forgotten'; readonly id: string }
  | { readonly kind: 'node'; readonly row: NodeRow }
  | { readonly kind: 'node-forgotten'; readonly key: string };

/**
 * `folded`: counted, with what it changed to see, which is nothing for most heartbeats. `repeat`: had been folded before.
 * `late`: of a game server that ended so long ago that it was forgotten. `conflict`: contradicts an event of the same id or
 * sequence; what was folded first stays.
 */
export type Outcome =
  | { readonly kind: 'folded'; readonly changes: readonly Change[] }
  | { readonly kind: 'repeat' }
  | { readonly kind: 'late' }
  | { readonly kind: 'conflict'; readonly reason: string };

export interface InventoryViewOptions {
  /** How long a game server that ended stays in the table, to be seen and to be known as ended. */
  readonly keepEndedMs?: number;
}

interface Entry {
  readonly record: GameServerRecord;
  /** What counts of the record. */
  truth: Heard<GameServerEvent> | undefined;
  leaseUntilMs: number;
  isExpired: boolean;
  /** As it was last shown; only what renews itself can differ while `isRowStale`. */
  row: GameServerRow | undefined;
  isRowStale: boolean;
  /** Keys into the index of places. */
  places: readonly string[];
}

const repeat: Outcome = { kind: 'repeat' };
const foldedQuietly: Outcome = { kind: 'folded', changes: [] };

/**
 * The table of game servers, folded from events in whatever order, with repeats and losses: the same events and the same
 * lease time end in the same table. Pure: times are arguments.
 *
 * `heardMs` and `nowMs` are one clock, in epoch milliseconds: that of the queue, or of the reader where the queue has none.
 * Senders' clocks are compared only with themselves.
 */
export class InventoryView {
  readonly #keepEndedMs: number;
  readonly #entries = new Map<string, Entry>();
  /** Game servers by instance and by node name, to find those that a node event is about. */
  readonly #placed = new Map<string, Set<Entry>>();
  readonly #nodes = new NodeBook();
  readonly #ids = new RecentIds();
  #nowMs = Number.NEGATIVE_INFINITY;

  constructor({ keepEndedMs = 3_600_000 }: InventoryViewOptions = {}) {
    this.#keepEndedMs = keepEndedMs;
  }

  apply(event: InventoryEvent, heardMs: number): Outcome {
    const { id, type, subject, data } = event;
    const other = this.#ids.otherMeaning(id, { type, subject, sequence: data.sequence });
    if (other !== undefined)
      return { kind: 'conflict', reason: `id ${id}: used for ${other.type} of ${other.subject} before` };
    return isNodeEvent(event) ? this.#applyNode({ event, heardMs }) : this.#applyGameServer({ event, heardMs });
  }

  /** Moves the lease time on: who has not renewed its lease is lost, who ended long ago is forgotten. Never goes back. */
  expire(nowMs: number): readonly Change[] {
    if (nowMs <= this.#nowMs) return [];
    this.#nowMs = nowMs;
    const changes: Change[] = [];
    for (const entry of this.#entries.values()) {
      if (!entry.isExpired && entry.leaseUntilMs <= nowMs) {
        entry.isExpired = true;
        changes.push(...this.#refresh(entry));
      }
      if (this.#isForgettable(entry)) {
        this.#forget(entry);
        changes.push({ kind: 'game-server-forgotten', id: entry.record.id });
      }
    }
    for (const { key, newest } of this.#nodes.all()) {
      if (newest.heardMs + this.#keepEndedMs > nowMs || this.#entriesAt(newest.event.data).size > 0) continue;
      this.#nodes.forget(key);
      changes.push({ kind: 'node-forgotten', key });
    }
    return changes;
  }

  row(id: string): GameServerRow | undefined {
    const entry = this.#entries.get(id);
    return entry === undefined ? undefined : this.#rowOf(entry);
  }

  /** Every game server, in no particular order. */
  rows(): GameServerRow[] {
    return [...this.#entries.values()].flatMap((entry) => this.#rowOf(entry) ?? []);
  }

  /** Every node that something was heard of. A node without trouble is known by its game servers only. */
  nodes(): NodeRow[] {
    return [...this.#nodes.all()].map(({ key, newest }) => nodeRow(key, newest));
  }

  get size(): number {
    return this.#entries.size;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** What to write down so that {@link restore} brings this game server back. */
  gameServerRecord(id: string): Readonly<GameServerRecord> | undefined {
    return this.#entries.get(id)?.record;
  }

  nodeRecord(key: string): Readonly<NodeRecord> | undefined {
    return this.#nodes.get(key);
  }

  /** Brings back what was written down, before anything is folded. */
  restore(gameServers: Iterable<GameServerRecord>, nodes: Iterable<NodeRecord>): void {
    for (const node of nodes) this.#nodes.restore(node);
    for (const record of gameServers) this.#settle(this.#enter(record));
  }

  #applyGameServer(heard: Heard<GameServerEvent>): Outcome {
    const { data } = heard.event;
    const known = this.#entries.get(data.game_server_id);
    // A message that was stuck for long can speak of a game server that has been forgotten: it must not appear again.
    if (known === undefined && this.#isLongGone(heard, leaseUntilMs(heard))) return { kind: 'late' };
    const entry = known ?? this.#enter(newGameServerRecord(data.game_server_id));
    const folded = foldGameServer(entry.record, heard);
    if (folded === 'conflict')
      return {
        kind: 'conflict',
        reason: `sequence ${data.sequence} of ${data.game_server_id}: known with another content`,
      };
    const { truth, isExpired, row } = entry;
    this.#settle(entry);
    if (folded === 'repeat') return repeat;
    // Most events are heartbeats that say nothing new: they cost no row.
    const isQuiet =
      truth !== undefined &&
      entry.truth !== undefined &&
      isExpired === entry.isExpired &&
      row?.status === truth.event.data.status &&
      isSameToSee(truth.event.data, entry.truth.event.data);
    return isQuiet ? foldedQuietly : { kind: 'folded', changes: this.#refresh(entry) };
  }

  #applyNode(heard: Heard<NodeEvent>): Outcome {
    const { data, subject } = heard.event;
    const key = nodeKey(data) ?? subject;
    const placesBefore = this.#nodes.get(key)?.newest.event.data;
    const folded = this.#nodes.fold(heard);
    if (folded !== 'newer') return folded === 'repeat' ? repeat : foldedQuietly;
    const touched = this.#entriesAt(data);
    if (placesBefore !== undefined) for (const entry of this.#entriesAt(placesBefore)) touched.add(entry);
    const changes: Change[] = [{ kind: 'node', row: nodeRow(key, heard) }];
    for (const entry of touched) changes.push(...this.#refresh(entry));
    return { kind: 'folded', changes };
  }

  #enter(record: GameServerRecord): Entry {
    const entry: Entry = {
      record,
      truth: undefined,
      leaseUntilMs: Infinity,
      isExpired: false,
      row: undefined,
      isRowStale: true,
      places: [],
    };
    this.#entries.set(record.id, entry);
    return entry;
  }

  /** Draws the consequences of what the record says now. */
  #settle(entry: Entry): void {
    const truth = truthOf(entry.record);
    const before = entry.truth;
    if (truth === undefined || truth === before) return;
    entry.truth = truth;
    entry.leaseUntilMs = leaseUntilMs(truth);
    entry.isExpired = entry.leaseUntilMs <= this.#nowMs;
    entry.isRowStale = true;
    if (before !== undefined && isSamePlace(before.event.data, truth.event.data)) return;
    this.#displace(entry);
    entry.places = placesOf(truth.event.data);
    for (const place of entry.places) this.#placed.set(place, (this.#placed.get(place) ?? new Set()).add(entry));
  }

  #displace(entry: Entry): void {
    for (const place of entry.places) {
      const placed = this.#placed.get(place);
      placed?.delete(entry);
      if (placed?.size === 0) this.#placed.delete(place);
    }
  }

  #entriesAt(placement: PlacementData): Set<Entry> {
    return new Set(placesOf(placement).flatMap((place) => [...(this.#placed.get(place) ?? [])]));
  }

  #rowOf(entry: Entry): GameServerRow | undefined {
    if (entry.isRowStale) this.#refresh(entry);
    return entry.row;
  }

  /** Makes the row anew; says so where it looks different. */
  #refresh(entry: Entry): Change[] {
    if (entry.truth === undefined) return [];
    const before = entry.row;
    const node = this.#nodes.find(entry.truth.event.data)?.newest.event;
    const row = gameServerRow(entry.truth, node, entry.isExpired);
    entry.row = row;
    entry.isRowStale = false;
    if (before !== undefined && isSameToSee(before, row)) return [];
    return [{ kind: 'game-server', row, before: before?.status ?? null }];
  }

  #isForgettable({ truth, leaseUntilMs: untilMs }: Entry): boolean {
    return truth === undefined || this.#isLongGone(truth, untilMs);
  }

  #forget(entry: Entry): void {
    this.#displace(entry);
    this.#entries.delete(entry.record.id);
  }

  #isLongGone({ event, heardMs }: Heard<GameServerEvent>, untilMs: number): boolean {
    return (isEnded(event.data.status) ? heardMs : untilMs) + this.#keepEndedMs <= this.#nowMs;
  }
}

function isNodeEvent(event: InventoryEvent): event is NodeEvent {
  return event.type.startsWith('dev.spotable.node.');
}

function isSamePlace(one: PlacementData, other: PlacementData): boolean {
  return one.instance_id === other.instance_id && one.node === other.node;
}

function placesOf({ instance_id, node }: PlacementData): string[] {
  return [...(instance_id === null ? [] : [instance_id]), ...(node === null ? [] : [`node/${node}`])];
}
