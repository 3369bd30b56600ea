import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import {
  type Condition,
  conditionOf,
  controllerOf,
  type Deployment,
  type IntOrPercent,
  type PodTemplate,
  type ReplicaSet,
  timestamp,
} from '../objects.ts';
import type { Registry } from '../registry/registry.ts';
import { deployments, replicaSets } from '../registry/table.ts';
import { reconcileOnChange, type Stop } from './reconcile.ts';

const revision = 'deployment.kubernetes.io/revision';
const templateHash = 'pod-template-hash';

/**
 * Keeps one ReplicaSet per version of a Deployment's template, and moves the replicas to the newest as its strategy
 * says.
 */
export function rollOutDeployments(registry: Registry): Stop {
  return reconcileOnChange(registry, [deployments, replicaSets], () => {
    for (const deployment of registry.store.list(deployments)) {
      if (deployment.metadata.deletionTimestamp === undefined) rollOut(registry, deployment);
    }
  });
}

function rollOut(registry: Registry, deployment: Deployment): void {
  const { namespace } = deployment.metadata;
  const owned = registry.store
    .list(replicaSets, namespace)
    .filter((set) => controllerOf(set)?.uid === deployment.metadata.uid);
  const hash = hashOf(deployment.spec.template);
  const found = owned.find((set) => set.metadata.labels?.[templateHash] === hash);
  if (found === undefined) {
    if (!deployment.spec.paused) createSet(registry, deployment, hash, owned);
    return;
  }
  const old = owned.filter((set) => set !== found);
  for (const [set, replicas] of planReplicas(deployment, found, old)) {
    if (set.spec.replicas === replicas) continue;
    const change = (current: ReplicaSet): ReplicaSet => ({ ...current, spec: { ...current.spec, replicas } });
    registry.update(replicaSets, namespace, set.metadata.name, change);
  }
  markRevision(registry, deployment, found);
  writeStatus(registry, deployment, found, old);
}

/** Ten characters from the alphabet of generated names, the same for the same template. */
export function hashOf(template: PodTemplate): string {
  const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
  const digest = createHash('sha256').update(JSON.stringify(template)).digest();
  return [...digest.subarray(0, 10)].map((byte) => alphabet[byte % alphabet.length]).join('');
}

function createSet(registry: Registry, deployment: Deployment, hash: string, owned: readonly ReplicaSet[]): void {
  const { name, namespace = '', uid } = deployment.metadata;
  const { template, selector, replicas } = deployment.spec;
  const labels = { ...template.metadata?.labels, [templateHash]: hash };
  const last = Math.max(0, ...owned.map((set) => Number(set.metadata.annotations?.[revision] ?? 0)));
  const { surge } = limitsOf(deployment);
  const taken = owned.reduce((sum, set) => sum + set.spec.replicas, 0);
  const isRecreated = deployment.spec.strategy.type === 'Recreate' && taken > 0;
  const room = isRecreated ? -replicas : surge - taken;
  registry.create(replicaSets, {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${name}-${hash}`,
      namespace,
      labels,
      annotations: {
        'deployment.kubernetes.io/desired-replicas': String(replicas),
        'deployment.kubernetes.io/max-replicas': String(replicas + surge),
        [revision]: String(last + 1),
      },
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'Deployment', name, uid, controller: true, blockOwnerDeletion: true },
      ],
    },
    spec: {
      replicas: Math.max(0, Math.min(replicas, replicas + room)),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [templateHash]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  });
}

/** Round maxSurge up and maxUnavailable down, and never let both be 0: the roll-out could not move. */
function limitsOf({ spec }: Deployment): { surge: number; unavailable: number } {
  const { maxSurge = '25%', maxUnavailable = '25%' } = spec.strategy.rollingUpdate ?? {};
  const surge = share(maxSurge, spec.replicas, Math.ceil);
  const unavailable = share(maxUnavailable, spec.replicas, Math.floor);
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

function share(value: IntOrPercent, total: number, round: (value: number) => number): number {
  return typeof value === 'number' ? value : round((Number.parseFloat(value) / 100) * total);
}

/** The next step of the roll-out: the wanted number of replicas for each set. */
export function planReplicas(
  deployment: Deployment,
  current: ReplicaSet,
  old: readonly ReplicaSet[],
): (readonly [ReplicaSet, number])[] {
  const { replicas, strategy, paused = false } = deployment.spec;
  const oldLeft = old.filter((set) => set.spec.replicas > 0 || set.status.replicas > 0);
  if (oldLeft.length === 0) return [[current, replicas]];
  if (paused) return [];
  if (strategy.type === 'Recreate') {
    const emptied = old.map((set) => [set, 0] as const);
    const hasPods = old.some((set) => set.status.replicas > 0 || (set.status.terminatingReplicas ?? 0) > 0);
    return hasPods ? emptied : [...emptied, [current, replicas]];
  }
  return planRollingUpdate(deployment, current, oldLeft);
}

function planRollingUpdate(
  deployment: Deployment,
  current: ReplicaSet,
  old: readonly ReplicaSet[],
): (readonly [ReplicaSet, number])[] {
  const { replicas } = deployment.spec;
  const { surge, unavailable } = limitsOf(deployment);
  const total = [current, ...old].reduce((sum, set) => sum + set.spec.replicas, 0);
  const room = Math.max(0, replicas + surge - total);
  const wanted = Math.min(replicas, current.spec.replicas + room);
  const steps: (readonly [ReplicaSet, number])[] = [[current, wanted]];
  const available = (set: ReplicaSet): number => set.status.availableReplicas ?? 0;
  const unavailableNew = current.spec.replicas - available(current);
  let removable = Math.max(0, total - (replicas - unavailable) - unavailableNew);
  // Remove pods that never came up first: that costs no availability.
  for (const set of old) {
    const broken = Math.min(removable, Math.max(0, set.spec.replicas - available(set)));
    const spare = [current, ...old].reduce((sum, one) => sum + available(one), 0) - (replicas - unavailable);
    const healthy = Math.min(removable - broken, Math.max(0, spare), set.spec.replicas - broken);
    removable -= broken + healthy;
    steps.push([set, set.spec.replicas - broken - healthy]);
  }
  return steps;
}

function markRevision(registry: Registry, deployment: Deployment, current: ReplicaSet): void {
  const number = current.metadata.annotations?.[revision] ?? '1';
  if (deployment.metadata.annotations?.[revision] === number) return;
  const { namespace, name } = deployment.metadata;
  registry.update(deployments, namespace, name, (one) => ({
    ...one,
    metadata: { ...one.metadata, annotations: { ...one.metadata.annotations, [revision]: number } },
  }));
}

function writeStatus(
  registry: Registry,
  deployment: Deployment,
  current: ReplicaSet,
  old: readonly ReplicaSet[],
): void {
  const sum = (count: (set: ReplicaSet) => number | undefined): number =>
    [current, ...old].reduce((total, set) => total + (count(set) ?? 0), 0);
  const available = sum((set) => set.status.availableReplicas);
  const unavailable = Math.max(0, sum((set) => set.spec.replicas) - available);
  const counts = {
    replicas: sum((set) => set.status.replicas),
    updatedReplicas: current.status.replicas,
    readyReplicas: sum((set) => set.status.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: unavailable,
  };
  const status: Deployment['status'] = {
    observedGeneration: deployment.metadata.generation ?? 0,
    ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
    terminatingReplicas: sum((set) => set.status.terminatingReplicas),
    conditions: conditionsOf(deployment, current, counts, registry.now()),
  };
  if (isDeepStrictEqual(status, deployment.status)) return;
  const { namespace, name } = deployment.metadata;
  registry.update(deployments, namespace, name, (one) => ({ ...one, status }), { subresource: 'status' });
}

function conditionsOf(
  deployment: Deployment,
  current: ReplicaSet,
  counts: { replicas: number; updatedReplicas: number; availableReplicas: number },
  nowMs: number,
): Condition[] {
  const { replicas } = deployment.spec;
  const isAvailable = counts.availableReplicas >= replicas - limitsOf(deployment).unavailable;
  const isComplete =
    counts.updatedReplicas === replicas && counts.replicas === replicas && counts.availableReplicas >= replicas;
  const name = current.metadata.name;
  return [
    condition(deployment, nowMs, {
      type: 'Progressing',
      status: 'True',
      reason: isComplete ? 'NewReplicaSetAvailable' : 'ReplicaSetUpdated',
      message: `ReplicaSet "${name}" ${isComplete ? 'has successfully progressed.' : 'is progressing.'}`,
    }),
    condition(deployment, nowMs, {
      type: 'Available',
      status: isAvailable ? 'True' : 'False',
      reason: isAvailable ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
      message: `Deployment ${isAvailable ? 'has' : 'does not have'} minimum availability.`,
    }),
  ];
}

function condition(deployment: Deployment, nowMs: number, next: Condition): Condition {
  const before = conditionOf(deployment.status.conditions, next.type);
  if (before?.status === next.status && before.reason === next.reason && before.message === next.message) return before;
  const now = timestamp(nowMs);
  const lastTransitionTime = before?.status === next.status ? (before.lastTransitionTime ?? now) : now;
  return { ...next, lastUpdateTime: now, lastTransitionTime };
}
