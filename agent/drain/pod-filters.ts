import { gameServerLabel } from '../game-servers/game-server-pod.ts';
import type { PodView } from './pod.ts';

/** `ignore`: the drain leaves the pod alone. `last`: it goes after all others, because it carries their traffic. */
export const drainLabel = 'spotable.dev/drain';

/** Why a drain leaves a pod alone. */
export type Spared = 'mirror' | 'daemonset' | 'agent' | 'opted-out' | 'not-selected';

/** Selects the pods to drain by namespace and labels. */
export type DrainSelection = (pod: PodView) => boolean;

export const everyPod: DrainSelection = () => true;

type PodFilter = (pod: PodView) => Spared | undefined;

/**
 * The pods that a drain leaves alone. A DaemonSet would recreate its pod on the same node at once. The owner is read
 * from the pod itself, because one request per DaemonSet is what slows other drains down.
 */
export function podFilters(agentUid: string | undefined, selection: DrainSelection = everyPod): readonly PodFilter[] {
  return [
    ({ isMirror }) => (isMirror ? 'mirror' : undefined),
    ({ uid }) => (uid === agentUid ? 'agent' : undefined),
    ({ controllerKind }) => (controllerKind === 'DaemonSet' ? 'daemonset' : undefined),
    ({ labels }) => (labels[drainLabel] === 'ignore' ? 'opted-out' : undefined),
    (pod) => (selection(pod) ? undefined : 'not-selected'),
  ];
}

export function sparedBy(filters: readonly PodFilter[], pod: PodView): Spared | undefined {
  for (const filter of filters) {
    const spared = filter(pod);
    if (spared !== undefined) return spared;
  }
  return undefined;
}

export function isGameServer({ labels }: PodView): boolean {
  return labels[gameServerLabel] === 'true';
}

/** Priorities of `system-cluster-critical` (2000000000) and `system-node-critical`. */
const minCriticalPriority = 2_000_000_000;

/**
 * Pods of a later tier wait until no pod of an earlier tier is left, or only their own grace period is. Critical pods,
 * such as the cluster's DNS, are later because others need them to end well; pods that carry the others' traffic come
 * last.
 */
export function tierOf({ labels, priority }: PodView): number {
  if (labels[drainLabel] === 'last') return 2;
  return priority >= minCriticalPriority ? 1 : 0;
}
