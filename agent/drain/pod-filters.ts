import type { PodView } from './pod.ts';

export const gameServerLabel = 'spotable.dev/game-server';
/** `ignore`: the drain leaves the pod alone. `last`: it goes after all others, because it carries their traffic. */
export const drainLabel = 'spotable.dev/drain';

/** Why a drain leaves a pod alone. */
export type Spared = 'mirror' | 'daemonset' | 'agent' | 'opted-out';

type PodFilter = (pod: PodView) => Spared | undefined;

/**
 * The pods that a drain leaves alone. A DaemonSet's pod would be put back at once on the same node; what owns it is read from
 * the pod itself, because one request a DaemonSet is what makes other drains slow.
 */
export function podFilters(agentUid: string | undefined): readonly PodFilter[] {
  return [
    ({ isMirror }) => (isMirror ? 'mirror' : undefined),
    ({ uid }) => (uid === agentUid ? 'agent' : undefined),
    ({ controllerKind }) => (controllerKind === 'DaemonSet' ? 'daemonset' : undefined),
    ({ labels }) => (labels[drainLabel] === 'ignore' ? 'opted-out' : undefined),
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

/** Pods of the last tier wait until no other is left, or only their own grace. */
export function isLastTier({ labels }: PodView): boolean {
  return labels[drainLabel] === 'last';
}
