import type { V1Pod } from '@kubernetes/client-node';
import { type Allocation, allocationLabel, readyCondition, sessionAnnotation } from '../../shared/fleet-names.ts';

/** The agent's view of a game server's pod, beyond what a drain needs. */
export interface GameServerPod {
  readonly resourceVersion: string;
  /** undefined: the pod belongs to no fleet. */
  readonly allocation: Allocation | undefined;
  readonly sessionId: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Whether the pod's readiness depends on our condition. */
  readonly hasGate: boolean;
  /** Status of our readiness condition: `True`, `False` or undefined (never written). */
  readonly ready: string | undefined;
}

export const gameServerLabel = 'spotable.dev/game-server';
/** Written by kubectl: a copy of the whole object. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/** undefined: the pod is not a game server. */
export function readGameServerPod({ metadata, spec, status }: V1Pod): GameServerPod | undefined {
  const labels = metadata?.labels ?? {};
  const allocation = labels[allocationLabel];
  const isAllocation = allocation === 'allocated' || allocation === 'unallocated';
  if (labels[gameServerLabel] !== 'true' && !isAllocation) return undefined;
  const { [lastApplied]: _, ...annotations } = metadata?.annotations ?? {};
  return {
    resourceVersion: metadata?.resourceVersion ?? '',
    allocation: isAllocation ? allocation : undefined,
    sessionId: allocation === 'allocated' ? annotations[sessionAnnotation] : undefined,
    labels,
    annotations,
    hasGate: spec?.readinessGates?.some(({ conditionType }) => conditionType === readyCondition) ?? false,
    ready: status?.conditions?.find(({ type }) => type === readyCondition)?.status,
  };
}
