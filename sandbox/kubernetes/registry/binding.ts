import { type Pod, timestamp, withCondition } from '../objects.ts';
import { conflict, Refusal } from '../status-errors.ts';
import type { Registry } from './registry.ts';
import { pods } from './table.ts';

/** Gives a pod its node. Nothing else can do that once the pod exists. Throws 404, and 409 for a pod with a node. */
export function bind(registry: Registry, namespace: string, name: string, nodeName: string): Pod {
  const pod = registry.get(pods, namespace, name);
  const named = { ...pods, plural: 'pods/binding' };
  if (pod.metadata.deletionTimestamp !== undefined) {
    throw new Refusal(conflict(named, name, `pod ${name} is being deleted, cannot be assigned to a host`));
  }
  if (pod.spec.nodeName !== undefined) {
    const cause = `pod ${name} is already assigned to node "${pod.spec.nodeName}"`;
    throw new Refusal(conflict(named, name, cause));
  }
  const conditions = withCondition(pod.status.conditions, {
    type: 'PodScheduled',
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: timestamp(registry.now()),
  });
  return registry.store.put(pods, { ...pod, spec: { ...pod.spec, nodeName }, status: { ...pod.status, conditions } });
}
