import {
  conditionOf,
  isPodFinished,
  isPodReady,
  type Pod,
  type PodDisruptionBudget,
  timestamp,
  withCondition,
} from '../objects.ts';
import { internalError, Refusal, tooManyRequests } from '../status-errors.ts';
import { labelSelector } from '../storage/selectors.ts';
import { type DeleteOptions, refuseUnmetPreconditions } from './deletion.ts';
import type { Registry, WriteOptions } from './registry.ts';
import { budgets, pods } from './table.ts';

/**
 * Seconds until a client should retry while the controller has not yet seen a budget
 * (registry/core/pod/storage/eviction.go).
 */
const unobservedRetrySeconds = 10;

/**
 * Evicts a pod if its budget allows: first the condition DisruptionTarget, then the deletion. Pending, finished and
 * terminating pods are deleted whatever the budget says. Throws 404, 409, 429 (budget) and 500 (two budgets).
 */
export function evict(
  registry: Registry,
  namespace: string,
  name: string,
  options: DeleteOptions & WriteOptions,
): void {
  const pod = registry.get(pods, namespace, name);
  if (!isBudgetIgnored(pod)) spendBudget(registry, pod, options.dryRun === true);
  if (options.dryRun === true) {
    registry.delete(pods, namespace, name, options);
    return;
  }
  refuseUnmetPreconditions(pods, pod.metadata, options);
  const target = registry.update(pods, namespace, name, (current) => targeted(current, registry.now()), {
    subresource: 'status',
  });
  // The condition made a new version of the pod: replace the caller's resourceVersion, checked above, by that one.
  const { resourceVersion, ...preconditions } = options.preconditions ?? {};
  const own = resourceVersion === undefined ? {} : { resourceVersion: target.metadata.resourceVersion };
  registry.delete(pods, namespace, name, { ...options, preconditions: { ...preconditions, ...own } });
}

function isBudgetIgnored(pod: Pod): boolean {
  return pod.status.phase === 'Pending' || isPodFinished(pod) || pod.metadata.deletionTimestamp !== undefined;
}

function spendBudget(registry: Registry, pod: Pod, dryRun: boolean): void {
  const { namespace, labels = {} } = pod.metadata;
  const covering = registry.store
    .list(budgets, namespace)
    .filter((budget) => budget.spec.selector !== undefined && labelSelector(budget.spec.selector)(labels));
  const [budget] = covering;
  if (budget === undefined) return;
  if (covering.length > 1) {
    throw new Refusal(
      internalError('This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.'),
    );
  }
  if (!isPodReady(pod) && isUnhealthyEvictable(budget)) return;
  refuseUnlessAllowed(budget);
  if (!dryRun) spend(registry, budget, pod.metadata.name);
}

function isUnhealthyEvictable({ spec, status }: PodDisruptionBudget): boolean {
  if (spec.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  return status.desiredHealthy > 0 && status.currentHealthy >= status.desiredHealthy;
}

function refuseUnlessAllowed({ metadata, status }: PodDisruptionBudget): void {
  const refuse = (why: string, retryAfterSeconds?: number): never => {
    const message = `The disruption budget ${metadata.name} ${why}`;
    const summary = "Cannot evict pod as it would violate the pod's disruption budget.";
    throw new Refusal(tooManyRequests(summary, [{ reason: 'DisruptionBudget', message }], retryAfterSeconds));
  };
  const { currentHealthy, desiredHealthy } = status;
  if ((status.observedGeneration ?? 0) < (metadata.generation ?? 0)) {
    refuse('is still being processed by the server.', unobservedRetrySeconds);
  }
  if (status.disruptionsAllowed > 0) return;
  const failed = conditionOf(status.conditions, 'DisruptionAllowed');
  if (failed?.reason === 'SyncFailed') {
    refuse(`does not allow evicting pods because it failed sync: ${failed.message ?? ''}`);
  }
  if (currentHealthy <= desiredHealthy) {
    refuse(`needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`);
  }
  refuse('does not allow evicting pods currently');
}

/**
 * Count at once, not when the disruption controller sees the deletion: two evictions must not use the same disruption.
 */
function spend(registry: Registry, budget: PodDisruptionBudget, podName: string): void {
  const { namespace, name } = budget.metadata;
  const nowMs = registry.now();
  registry.update(
    budgets,
    namespace,
    name,
    (current) => {
      const disruptionsAllowed = current.status.disruptionsAllowed - 1;
      const disruptedPods = { ...current.status.disruptedPods, [podName]: timestamp(nowMs) };
      return { ...current, status: { ...current.status, disruptionsAllowed, disruptedPods } };
    },
    { subresource: 'status' },
  );
}

function targeted(pod: Pod, nowMs: number): Pod {
  if (conditionOf(pod.status.conditions, 'DisruptionTarget')?.status === 'True') return pod;
  const conditions = withCondition(pod.status.conditions, {
    type: 'DisruptionTarget',
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: timestamp(nowMs),
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
  });
  return { ...pod, status: { ...pod.status, conditions } };
}
