import { isDeepStrictEqual } from 'node:util';
import {
  conditionOf,
  controllerOf,
  isPodFinished,
  isPodReady,
  type OwnerReference,
  type Pod,
  type ReplicaSet,
} from '../objects.ts';
import type { Draft, Registry } from '../registry/registry.ts';
import { pods, replicaSets } from '../registry/table.ts';
import { labelSelector } from '../storage/selectors.ts';
import { reconcileOnChange, type Stop } from './reconcile.ts';

/** Limit for pods created or deleted at once, so that a typo does not create a million. */
const maxBurst = 500;

/**
 * Keeps as many pods as each ReplicaSet wants. Terminating and finished pods do not count. A pod whose labels no longer
 * match the selector is released and replaced; a matching pod without a controller is adopted.
 */
export function keepReplicas(registry: Registry): Stop {
  return reconcileOnChange(registry, [replicaSets, pods], () => {
    for (const set of registry.store.list(replicaSets)) keep(registry, set);
  });
}

function keep(registry: Registry, set: ReplicaSet): void {
  const owned = claim(registry, set);
  const active = owned.filter((pod) => !isPodFinished(pod) && pod.metadata.deletionTimestamp === undefined);
  const missing = set.spec.replicas - active.length;
  if (set.metadata.deletionTimestamp === undefined && missing > 0) {
    for (let made = 0; made < Math.min(missing, maxBurst); made++) {
      registry.create(pods, podOf(set));
    }
  }
  if (missing < 0) {
    const surplus = rankForDeletion(active).slice(0, Math.min(-missing, maxBurst));
    for (const { metadata } of surplus) registry.delete(pods, metadata.namespace, metadata.name);
  }
  writeStatus(registry, set, owned, active);
}

/** The set's own pods, after it has adopted matching pods and released others. */
function claim(registry: Registry, set: ReplicaSet): Pod[] {
  const fits = labelSelector(set.spec.selector);
  return registry.store.list(pods, set.metadata.namespace).flatMap((pod) => {
    const controller = controllerOf(pod);
    const isOurs = controller?.uid === set.metadata.uid;
    const matches = fits(pod.metadata.labels ?? {});
    if (isOurs && !matches && pod.metadata.deletionTimestamp === undefined) {
      writeOwners(registry, pod, undefined);
      return [];
    }
    const isOrphan = controller === undefined && pod.metadata.deletionTimestamp === undefined && !isPodFinished(pod);
    if (isOrphan && matches && set.metadata.deletionTimestamp === undefined) {
      return [writeOwners(registry, pod, ownerReference(set))];
    }
    return isOurs ? [pod] : [];
  });
}

function ownerReference(set: ReplicaSet): OwnerReference {
  const { name, uid } = set.metadata;
  return { apiVersion: 'apps/v1', kind: 'ReplicaSet', name, uid, controller: true, blockOwnerDeletion: true };
}

function writeOwners(registry: Registry, pod: Pod, controller: OwnerReference | undefined): Pod {
  return registry.update(pods, pod.metadata.namespace, pod.metadata.name, (current) => {
    const { ownerReferences = [], ...metadata } = current.metadata;
    const others = ownerReferences.filter((owner) => owner.controller !== true);
    const owners = controller === undefined ? others : [...others, controller];
    return { ...current, metadata: { ...metadata, ...(owners.length === 0 ? {} : { ownerReferences: owners }) } };
  });
}

function podOf(set: ReplicaSet): Draft<Pod> {
  const { template } = set.spec;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...template.metadata,
      generateName: `${set.metadata.name}-`,
      namespace: set.metadata.namespace ?? '',
      ownerReferences: [ownerReference(set)],
    },
    spec: template.spec,
  };
}

const phaseRank: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/**
 * The order in which a scale-down deletes pods: without a node, not running, not ready, the lowest
 * controller.kubernetes.io/pod-deletion-cost, on a node with more of them, the younger.
 */
export function rankForDeletion(active: readonly Pod[]): Pod[] {
  const onNode = (pod: Pod): number => active.filter((other) => other.spec.nodeName === pod.spec.nodeName).length;
  const rank = (pod: Pod): number[] => [
    pod.spec.nodeName === undefined ? 0 : 1,
    phaseRank[pod.status.phase ?? 'Unknown'] ?? 1,
    isPodReady(pod) ? 1 : 0,
    Number(pod.metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? 0),
    -onNode(pod),
    -Date.parse(conditionOf(pod.status.conditions, 'Ready')?.lastTransitionTime ?? pod.metadata.creationTimestamp),
    -Date.parse(pod.metadata.creationTimestamp),
  ];
  return active
    .map((pod) => ({ pod, rank: rank(pod) }))
    .sort((a, b) => compare(a.rank, b.rank))
    .map(({ pod }) => pod);
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function writeStatus(registry: Registry, set: ReplicaSet, owned: readonly Pod[], active: readonly Pod[]): void {
  const templateLabels = Object.entries(set.spec.template.metadata?.labels ?? {});
  const labeled = active.filter(({ metadata }) =>
    templateLabels.every(([key, value]) => metadata.labels?.[key] === value),
  );
  const ready = active.filter(isPodReady).length;
  const terminating = owned.filter((pod) => pod.metadata.deletionTimestamp !== undefined && !isPodFinished(pod)).length;
  const status: ReplicaSet['status'] = {
    replicas: active.length,
    ...(labeled.length > 0 ? { fullyLabeledReplicas: labeled.length } : {}),
    ...(ready > 0 ? { readyReplicas: ready, availableReplicas: ready } : {}),
    terminatingReplicas: terminating,
    observedGeneration: set.metadata.generation ?? 0,
  };
  if (isDeepStrictEqual(status, set.status)) return;
  const { namespace, name } = set.metadata;
  registry.update(replicaSets, namespace, name, (current) => ({ ...current, status }), { subresource: 'status' });
}
