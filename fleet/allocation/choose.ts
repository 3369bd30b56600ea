import { allocationOf, type GameServerPod, hasSession, isSpent } from '../cluster/game-server-pod.ts';
import type { NodeView } from '../cluster/node-view.ts';
import type { AllocationRequest } from './allocation-request.ts';
import { compareByPriorities, fitsSelector } from './select.ts';

export interface ChooseFrom {
  readonly pods: ReadonlyMap<string, GameServerPod>;
  /** By name. */
  readonly nodes: ReadonlyMap<string, NodeView>;
  /** Already tried, or about to be given to another session. */
  readonly isExcluded: (pod: GameServerPod) => boolean;
  /** Orders two game servers that are otherwise equal. */
  readonly compareEquals: (a: GameServerPod, b: GameServerPod) => number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

export interface Choice {
  readonly pod: GameServerPod;
  /** Index of the selector that it matches. */
  readonly selector: number;
}

/** A node's number of sessions and ready game servers. */
export interface NodeLoad {
  readonly allocated: number;
  readonly ready: number;
}

/**
 * The best game server for a request, or undefined. Selectors count in order. Within one, `Packed` takes the node with
 * the most sessions, then the one with the most ready game servers, then the priorities; `Distributed` takes the
 * priorities or, without any, a random one. This is the order of Agones' allocator, with one difference: a node that is
 * about to go gets no session.
 */
export function chooseGameServer(
  { selectors, scheduling, priorities, namespace }: AllocationRequest,
  { pods, nodes, isExcluded, compareEquals, random }: ChooseFrom,
): Choice | undefined {
  const loads = scheduling === 'Packed' ? nodeLoads(pods.values()) : undefined;
  const compare = (a: GameServerPod, b: GameServerPod): number =>
    (loads === undefined ? 0 : compareLoads(loads, a, b)) ||
    compareByPriorities(priorities, a, b) ||
    compareEquals(a, b);
  const isByChance = scheduling === 'Distributed' && priorities.length === 0;
  const best: (GameServerPod | undefined)[] = selectors.map(() => undefined);
  const seen: number[] = selectors.map(() => 0);
  for (const pod of pods.values()) {
    if (pod.namespace !== namespace || !isAllocatable(pod, nodes) || isExcluded(pod)) continue;
    for (const [index, selector] of selectors.entries()) {
      if (!fitsSelector(selector, pod)) continue;
      const current = best[index];
      const count = (seen[index] ?? 0) + 1;
      seen[index] = count;
      // Keep the nth candidate with a chance of 1/n, so that each is equally likely.
      const isBetter = isByChance ? random() * count < 1 : current === undefined || compare(pod, current) < 0;
      if (current === undefined || isBetter) best[index] = pod;
    }
  }
  const selector = best.findIndex((pod) => pod !== undefined);
  const pod = best[selector];
  return pod === undefined ? undefined : { pod, selector };
}

/** Whether the game server can take players at all. */
export function isAllocatable(pod: GameServerPod, nodes: ReadonlyMap<string, NodeView>): boolean {
  if (!pod.isReady || pod.isDeleting || pod.isFinished || pod.nodeName === undefined || isSpent(pod)) return false;
  const node = nodes.get(pod.nodeName);
  return node !== undefined && node.unfit === undefined;
}

export function nodeLoads(pods: Iterable<GameServerPod>): ReadonlyMap<string, NodeLoad> {
  const loads = new Map<string, { allocated: number; ready: number }>();
  for (const pod of pods) {
    if (pod.nodeName === undefined) continue;
    const load = loads.get(pod.nodeName) ?? { allocated: 0, ready: 0 };
    loads.set(pod.nodeName, load);
    if (hasSession(pod)) load.allocated++;
    else if (pod.isReady && !pod.isDeleting && allocationOf(pod) === 'unallocated') load.ready++;
  }
  return loads;
}

const emptyNode: NodeLoad = { allocated: 0, ready: 0 };

/** Negative if `a` is on the fuller node. */
export function compareLoads(loads: ReadonlyMap<string, NodeLoad>, a: GameServerPod, b: GameServerPod): number {
  if (a.nodeName === b.nodeName) return 0;
  const one = loads.get(a.nodeName ?? '') ?? emptyNode;
  const other = loads.get(b.nodeName ?? '') ?? emptyNode;
  return other.allocated - one.allocated || other.ready - one.ready;
}

export function compareNames(a: GameServerPod, b: GameServerPod): number {
  return a.name === b.name ? 0 : a.name < b.name ? -1 : 1;
}
