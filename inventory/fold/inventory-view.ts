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
import { type NodeRecord, NodeTable, nodeKey } from './node-table.ts';
import { RecentIds } from './recent-ids.ts';
import { type GameServerRow, gameServerRow, isEnded, isSameToSee, type NodeRow, nodeRow } from './rows.ts';

/** A visible change of the table. `before` is null if the game server is new. */
export type Change =
  | { readonly kind: 'game-server'; readonly row: GameServerRow; readonly before: GameServerState | null }
  | { readonly kind: 'game-server-forgotten'; readonly id: string }
  | { readonly kind: 'node'; readonly row: NodeRow }
  | { readonly kind: 'node-forgotten'; readonly key: string };

/**
 * `folded`: counted, with the visible changes (none for most heartbeats). `repeat`: was folded before. `late`: its game
 * server ended so long ago that it was forgotten. `conflict`: contradicts an event of the same ID or sequence, which
 * stays.
 */
export type Outcome =
  | { readonly kind: 'folded'; readonly changes: readonly Change[] }
  | { readonly kind: 'repeat' }
  | { readonly kind: 'late' }
  | { readonly kind: 'conflict'; readonly reason: string };

export interface InventoryViewOptions {
  /** How long an ended game server stays in the table. */
  readonly keepEndedMs?: number;
}

interface Entry {
  readonly record: GameServerRecord;
  /** The event that counts, of those in the record. */
  truth: Heard<GameServerEvent> | undefined;
  leaseUntilMs: number;
  isExpired: boolean;
  /** The row as it was last shown. While `isRowStale`, only the fields that each heartbeat renews are outdated. */
  row: GameServerRow | undefined;
  isRowStale: boolean;
  /** Keys of this game server in the index of places. */
  places: readonly string[];
}

const repeat: Outcome = { kind: 'repeat' };
const foldedQuietly: Outcome = { kind: 'folded', changes: [] };

/**
 * The table of game servers, folded from events in any order, with repeats and losses: the same events and the same
 * lease time always give the same table. Pure: times are arguments.
 *
 * `heardMs` and `nowMs` are one clock, in epoch milliseconds: the queue's, or the reader's if the queue has none. A
 * sender's clock is compared only with itself.
 */
export class InventoryView {
  readonly #keepEndedMs: number;
  readonly #entries = new Map<string, Entry>();
  /** Game servers by instance and by node name, to find those that a node event concerns. */
  readonly #placed = new Map<string, Set<Entry>>();
  readonly #nodes = new NodeTable();
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

  /**
   * Moves the lease time forward: a game server without a renewed lease is lost, one that ended long ago is forgotten.
   */
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

  /** All game servers, unordered. */
  rows(): GameServerRow[] {
    return [...this.#entries.values()].flatMap((entry) => this.#rowOf(entry) ?? []);
  }

  /** All nodes with events. A node without trouble has none and appears only in its game servers. */
  nodes(): NodeRow[] {
    return [...this.#nodes.all()].map(({ key, newest }) => nodeRow(key, newest));
  }

  get size(): number {
    return this.#entries.size;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** The state to store so that {@link restore} brings the game server back. */
  gameServerRecord(id: string): Readonly<GameServerRecord> | undefined {
    return this.#entries.get(id)?.record;
  }

  nodeRecord(key: string): Readonly<NodeRecord> | undefined {
    return this.#nodes.get(key);
  }

  /** Restores stored state, before anything is folded. */
  restore(gameServers: Iterable<GameServerRecord>, nodes: Iterable<NodeRecord>): void {
    for (const node of nodes) this.#nodes.restore(node);
    for (const record of gameServers) this.#settle(this.#enter(record));
  }

  #applyGameServer(heard: Heard<GameServerEvent>): Outcome {
    const { data } = heard.event;
    const known = this.#entries.get(data.game_server_id);
    // A message that was stuck for long may concern a game server that was forgotten. It must not reappear.
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
    // Most events are heartbeats without news: they must not cost a new row.
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

  /** Updates everything that follows from the record. */
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

  /** Rebuilds the row and returns the change if it looks different. */
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
