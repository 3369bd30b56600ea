import { type Node, type Taint, timestamp } from '../objects.ts';
import type { Registry } from '../registry/registry.ts';
import { nodes } from '../registry/table.ts';
import { reconcileOnChange, type Stop } from './reconcile.ts';

export const unschedulableTaint = 'node.kubernetes.io/unschedulable';

/** Keeps the taint of cordoned nodes in place: clients write spec.unschedulable only, and may overwrite the taint. */
export function taintUnschedulableNodes(registry: Registry): Stop {
  return reconcileOnChange(registry, [nodes], () => {
    for (const node of registry.store.list(nodes)) {
      const taints = wantedTaints(node, registry.now());
      if (taints === undefined) continue;
      registry.update(nodes, undefined, node.metadata.name, (current) => {
        const { taints: before, ...spec } = current.spec;
        return { ...current, spec: taints.length === 0 ? spec : { ...spec, taints } };
      });
    }
  });
}

/** Undefined: no change is needed. */
export function wantedTaints({ spec }: Node, nowMs: number): Taint[] | undefined {
  const { unschedulable = false, taints = [] } = spec;
  const isOurs = ({ key, effect }: Taint): boolean => key === unschedulableTaint && effect === 'NoSchedule';
  if (taints.some(isOurs) === unschedulable) return undefined;
  if (!unschedulable) return taints.filter((taint) => !isOurs(taint));
  return [...taints, { key: unschedulableTaint, effect: 'NoSchedule', timeAdded: timestamp(nowMs) }];
}
