import type { NodeEvent, PlacementData } from '../../shared/events/event.ts';
import type { Heard } from './game-server-record.ts';

export interface NodeRecord {
  readonly key: string;
  newest: Heard<NodeEvent>;
  /** Ids of the events folded, newest last: node events have no gapless numbers to tell repeats by. */
  readonly ids: string[];
}

/** One interruption has a handful of events; an instance has few interruptions. */
const maxIdsPerNode = 64;

/** Names the node of a placement: by its instance, because a later instance can have the same name. */
export function nodeKey({ instance_id, node }: PlacementData): string | undefined {
  return instance_id ?? (node === null ? undefined : `node/${node}`);
}

/** What was heard of nodes, to be found by instance and by name, because not every sender knows both. */
export class NodeBook {
  readonly #byKey = new Map<string, NodeRecord>();
  readonly #byName = new Map<string, Set<NodeRecord>>();

  /** `older`: counted, but something newer is known. */
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
   * The newest word on the node where something lives. Where both sides name the instance it must be the same one, so that
   * the fate of an old instance does not fall on a new one of the same name.
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
 * A node's events come from its own clock: by time, then by the count of its agent, which begins anew with each agent; the id
 * decides the rest, so that every reader decides alike.
 */
function isLater(one: NodeEvent, other: NodeEvent): boolean {
  const byTime = Date.parse(one.time) - Date.parse(other.time);
  if (byTime !== 0) return byTime > 0;
  const bySequence = one.data.sequence - other.data.sequence;
  return bySequence === 0 ? one.id > other.id : bySequence > 0;
}
