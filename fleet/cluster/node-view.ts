import type { V1Node } from '@kubernetes/client-node';

/** The facts about a node that allocation needs. */
export interface NodeView {
  readonly name: string;
  /** Why no session may begin there; undefined if one may. */
  readonly unfit: string | undefined;
  readonly addresses: readonly NodeAddress[];
}

export interface NodeAddress {
  readonly type: string;
  readonly address: string;
}

/** The agent's mark: set from the notice on, even for a risk without an instant. */
const interruptionKey = 'spotable.dev/interruption';
/** Taints of programs that are about to remove a node. Most of them also cordon it. */
const leavingTaints: ReadonlySet<string> = new Set([
  interruptionKey,
  'node.kubernetes.io/unschedulable',
  'node.kubernetes.io/unreachable',
  'node.kubernetes.io/not-ready',
  'node.kubernetes.io/out-of-service',
  'node.cloudprovider.kubernetes.io/shutdown',
  'karpenter.sh/disrupted',
  'karpenter.sh/disruption',
  'ToBeDeletedByClusterAutoscaler',
]);

export function readNode({ metadata, spec, status }: V1Node): NodeView | undefined {
  const name = metadata?.name;
  if (name === undefined) return undefined;
  const taint = spec?.taints?.find(({ key }) => leavingTaints.has(key));
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const unfit =
    metadata?.annotations?.[interruptionKey] !== undefined
      ? 'interrupted or at risk'
      : spec?.unschedulable === true
        ? 'cordoned'
        : taint !== undefined
          ? `taint ${taint.key}`
          : metadata?.deletionTimestamp !== undefined
            ? 'deleted'
            : ready !== undefined && ready.status !== 'True'
              ? 'not ready'
              : undefined;
  return {
    name,
    unfit,
    addresses: (status?.addresses ?? []).map(({ type, address }) => ({ type, address })),
  };
}
