import type { NodeEvent, PlacementData } from '../../shared/events/event.ts';
import type { Heard } from './game-server-record.ts';

export interface NodeRecord {
  readonly key: string;
  newest: Heard<NodeEvent>;
  /** IDs of the folded events, newest last: node events have no gapless numbers that would show repeats. */
  readonly ids: string[];
}

/** An interruption has a handful of events, and an instance has few interruptions. */
const maxIdsPerNode = 64;

/** Identifies a node by its instance, because a later instance may have the same node name. */
export function nodeKey({ instance_id, node }: PlacementData): string | undefined {
  return instance_id ?? (node === null ? undefined : `node/${node}`);
}

/** Node events, by instance and by name, because not every sender knows both. */
export class NodeTable {
  readonly #byKey = new Map<string, NodeRecord>();
  readonly #byName = new Map<string, Set<NodeRecord>>();

  /** `older`: counted, but a newer event is known. */
  fold(heard: Heard<NodeEvent>): 'newer' | 'older' | 'repeat' {
    const { event } = heard;
    const key = nodeKey(event.data) ?? event.subject;
    const record = this.#byKey.get(key);
    if (record === undefined) {
      this.restore({ key, newest: heard, ids: [event.id] });
      return 'newer';
    }
    if (record.ids.includes(event.id)) return 'repeat';
    record.ids.push(event.id);
    if (record.ids.length > maxIdsPerNode) record.ids.shift();
    if (!isLater(event, record.newest.event)) return 'older';
    this.#unname(record);
    record.newest = heard;
    this.#name(record);
    return 'newer';
  }

  restore(record: NodeRecord): void {
    this.forget(record.key);
    this.#byKey.set(record.key, record);
    this.#name(record);
  }

  forget(key: string): void {
    const record = this.#byKey.get(key);
    if (record === undefined) return;
    this.#byKey.delete(key);
    this.#unname(record);
  }

  get(key: string): NodeRecord | undefined {
    return this.#byKey.get(key);
  }

  all(): Iterable<NodeRecord> {
    return this.#byKey.values();
  }

  /**
   * The newest event of the node of this placement. If both sides name the instance, it must be the same: the fate of
   * an old instance must not affect a new one of the same name.
   */
  find(placement: PlacementData): NodeRecord | undefined {
    const { instance_id: instance, node } = placement;
    let found = instance === null ? undefined : this.#byKey.get(instance);
    for (const record of (node === null ? undefined : this.#byName.get(node)) ?? []) {
      const other = record.newest.event.data.instance_id;
      if (instance !== null && other !== null && other !== instance) continue;
      if (found === undefined || isLater(record.newest.event, found.newest.event)) found = record;
    }
    return found;
  }

  #name(record: NodeRecord): void {
    const { node } = record.newest.event.data;
    if (node === null) return;
    const named = this.#byName.get(node) ?? new Set();
    this.#byName.set(node, named.add(record));
  }

  #unname(record: NodeRecord): void {
    const { node } = record.newest.event.data;
    if (node === null) return;
    const named = this.#byName.get(node);
    named?.delete(record);
    if (named?.size === 0) this.#byName.delete(node);
  }
}

/**
 * A node's events have its own clock: they are ordered by time, then by the agent's count, which restarts with each
 * agent, then by ID, so that every reader decides alike.
 */
function isLater(one: NodeEvent, other: NodeEvent): boolean {
  const byTime = Date.parse(one.time) - Date.parse(other.time);
  if (byTime !== 0) return byTime > 0;
  const bySequence = one.data.sequence - other.data.sequence;
  return bySequence === 0 ? one.id > other.id : bySequence > 0;
}
