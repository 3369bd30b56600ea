import { maxReplicas } from '../relay/counters.ts';
import type { ReplicaSlot } from '../relay/session.ts';
import { isSameReplica, type Upstream } from './upstream.ts';

export interface SlotAssignment {
  readonly upstream: Upstream;
  readonly slot: ReplicaSlot;
}

/** Assigns each replica a slot that it keeps for its lifetime. Replicas beyond `maxReplicas` stay `unassigned`. */
export function assignSlots(
  assignments: readonly SlotAssignment[],
  upstreams: readonly Upstream[],
  nextGeneration: number,
): {
  readonly assignments: readonly SlotAssignment[];
  readonly unassigned: readonly Upstream[];
  readonly nextGeneration: number;
} {
  const kept: SlotAssignment[] = [];
  for (const upstream of upstreams) {
    const assignment = assignments.find((candidate) => isSameReplica(candidate.upstream, upstream));
    if (assignment !== undefined) kept.push({ upstream, slot: assignment.slot });
  }
  const taken = new Set(kept.map(({ slot }) => slot.index));
  const unassigned: Upstream[] = [];
  let generation = nextGeneration;
  for (const upstream of upstreams) {
    if (kept.some((assignment) => assignment.upstream === upstream)) continue;
    const free = freeSlot(taken);
    if (free === undefined) {
      unassigned.push(upstream);
      continue;
    }
    taken.add(free);
    const { address, port } = upstream;
    kept.push({ upstream, slot: { index: free, generation: generation++, recoveries: 0, address, port } });
  }
  return { assignments: kept, unassigned, nextGeneration: generation };
}

function freeSlot(taken: ReadonlySet<number>): number | undefined {
  for (let index = 0; index < maxReplicas; index++) if (!taken.has(index)) return index;
  return undefined;
}
