import {
  type Condition,
  conditionOf,
  controllerOf,
  type IntOrPercent,
  isPodReady,
  type Pod,
  type PodDisruptionBudget,
  timestamp,
} from '../objects.ts';
import type { Registry } from '../registry/registry.ts';
import { budgets, deployments, pods, replicaSets } from '../registry/table.ts';
import { labelSelector } from '../storage/selectors.ts';
import type { Store } from '../storage/store.ts';
import { reconcileOnChange, type Stop } from './reconcile.ts';

/** Forget a granted eviction whose pod is still alive after this time (disruption.DeletionTimeout). */
const grantedEvictionMs = 120_000;

/** Keeps the status of budgets: the numbers of healthy pods, of required pods and of allowed disruptions. */
export function countDisruptions(registry: Registry): Stop {
  return reconcileOnChange(registry, [budgets, pods, replicaSets, deployments], () => {
    for (const budget of registry.store.list(budgets)) {
      const { namespace, name } = budget.metadata;
      const status = budgetStatus(registry.store, budget, registry.now());
      registry.update(budgets, namespace, name, (current) => ({ ...current, status }), { subresource: 'status' });
    }
  });
}

export function budgetStatus(store: Store, budget: PodDisruptionBudget, nowMs: number): PodDisruptionBudget['status'] {
  const { spec, metadata, status } = budget;
  const covers = labelSelector(spec.selector);
  const covered =
    spec.selector === undefined
      ? []
      : store.list(pods, metadata.namespace).filter((pod) => covers(pod.metadata.labels ?? {}));
  const granted = stillGranted(status.disruptedPods ?? {}, covered, nowMs);
  const healthy = covered.filter(
    (pod) =>
      pod.metadata.deletionTimestamp === undefined && granted[pod.metadata.name] === undefined && isPodReady(pod),
  );
  const { expectedPods, desiredHealthy } = expectation(store, spec, covered);
  // A budget that covers no pod yet allows no disruption, so that its first pods are safe.
  const disruptionsAllowed = expectedPods > 0 ? Math.max(0, healthy.length - desiredHealthy) : 0;
  return {
    observedGeneration: metadata.generation ?? 0,
    ...(Object.keys(granted).length === 0 ? {} : { disruptedPods: granted }),
    disruptionsAllowed,
    currentHealthy: healthy.length,
    desiredHealthy,
    expectedPods,
    conditions: [allowedCondition(budget, disruptionsAllowed > 0, nowMs)],
  };
}

function stillGranted(
  disruptedPods: Readonly<Record<string, string>>,
  covered: readonly Pod[],
  nowMs: number,
): Record<string, string> {
  const waiting = Object.entries(disruptedPods).filter(([name, at]) => {
    const pod = covered.find(({ metadata }) => metadata.name === name);
    const isGoing = pod === undefined || pod.metadata.deletionTimestamp !== undefined;
    return !isGoing && Date.parse(at) + grantedEvictionMs > nowMs;
  });
  return Object.fromEntries(waiting);
}

function expectation(
  store: Store,
  { minAvailable, maxUnavailable }: PodDisruptionBudget['spec'],
  covered: readonly Pod[],
): { expectedPods: number; desiredHealthy: number } {
  if (maxUnavailable !== undefined) {
    const expectedPods = scaleOfOwners(store, covered);
    return { expectedPods, desiredHealthy: Math.max(0, expectedPods - share(maxUnavailable, expectedPods)) };
  }
  if (typeof minAvailable === 'string') {
    const expectedPods = scaleOfOwners(store, covered);
    return { expectedPods, desiredHealthy: share(minAvailable, expectedPods) };
  }
  return { expectedPods: covered.length, desiredHealthy: minAvailable ?? 0 };
}

/** Round a percentage up, even for maxUnavailable. */
function share(value: IntOrPercent, total: number): number {
  return typeof value === 'number' ? value : Math.ceil((Number.parseFloat(value) / 100) * total);
}

/** The number of pods that the owners want together, each owner counted once. Pods without a controller add nothing. */
function scaleOfOwners(store: Store, covered: readonly Pod[]): number {
  const scales = new Map<string, number>();
  for (const pod of covered) {
    const owner = controllerOf(pod);
    const set = owner?.kind === 'ReplicaSet' ? store.get(replicaSets, pod.metadata.namespace, owner.name) : undefined;
    if (set === undefined || set.metadata.uid !== owner?.uid) continue;
    const above = controllerOf(set);
    const deployment =
      above?.kind === 'Deployment' ? store.get(deployments, pod.metadata.namespace, above.name) : undefined;
    const scaled = deployment ?? set;
    scales.set(scaled.metadata.uid, scaled.spec.replicas);
  }
  return [...scales.values()].reduce((sum, replicas) => sum + replicas, 0);
}

function allowedCondition({ metadata, status }: PodDisruptionBudget, isAllowed: boolean, nowMs: number): Condition {
  const before = conditionOf(status.conditions, 'DisruptionAllowed');
  const verdict = isAllowed ? 'True' : 'False';
  const lastTransitionTime =
    before?.status === verdict ? (before.lastTransitionTime ?? timestamp(nowMs)) : timestamp(nowMs);
  return {
    type: 'DisruptionAllowed',
    status: verdict,
    observedGeneration: metadata.generation ?? 0,
    lastTransitionTime,
    reason: isAllowed ? 'SufficientPods' : 'InsufficientPods',
    message: '',
  };
}
