import type { Deployment, Node, Pod, PodDisruptionBudget, ReplicaSet } from '../../../../sandbox/kubernetes/objects.ts';
import { Registry } from '../../../../sandbox/kubernetes/registry/registry.ts';
import { namespaces } from '../../../../sandbox/kubernetes/registry/table.ts';
import { Store } from '../../../../sandbox/kubernetes/storage/store.ts';

/** Objects for the tables of the unit tests: whole enough for the code, with what a case is about given to each. */

export const startMs: number = Date.parse('2026-11-22T11:00:00Z');

function metadata(name: string): Pod['metadata'] {
  return {
    name,
    namespace: 'arena',
    uid: `uid-${name}`,
    resourceVersion: '1',
    creationTimestamp: '2026-11-22T11:00:00Z',
  };
}

export interface PodFacts {
  readonly meta?: Partial<Pod['metadata']>;
  readonly spec?: Partial<Pod['spec']>;
  readonly phase?: Exclude<Pod['status']['phase'], undefined>;
  readonly ready?: boolean;
}

export function aPod(name: string, { meta = {}, spec = {}, phase = 'Running', ready = true }: PodFacts = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata(name), generation: 1, labels: { app: 'game' }, ...meta },
    spec: {
      containers: [{ name: 'game', image: 'demo:1' }],
      nodeName: 'n1',
      terminationGracePeriodSeconds: 30,
      ...spec,
    },
    status: { phase, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  };
}

/** The pod without a node. */
export function aPendingPod(name: string, facts: PodFacts = {}): Pod {
  const { spec, ...pod } = aPod(name, { ...facts, phase: 'Pending', ready: false });
  const { nodeName, ...unbound } = spec;
  return { ...pod, spec: { ...unbound, schedulerName: 'default-scheduler' } };
}

export function aNode(name: string, spec: Node['spec'] = {}, status: Node['status'] = {}): Node {
  const { namespace, ...meta } = metadata(name);
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { ...meta, labels: { 'kubernetes.io/hostname': name } },
    spec,
    status,
  };
}

export function aBudget(
  name: string,
  spec: PodDisruptionBudget['spec'],
  status: Partial<PodDisruptionBudget['status']> = {},
): PodDisruptionBudget {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { ...metadata(name), generation: 1 },
    spec: { selector: { matchLabels: { app: 'game' } }, ...spec },
    status: {
      observedGeneration: 1,
      disruptionsAllowed: 0,
      currentHealthy: 0,
      desiredHealthy: 0,
      expectedPods: 0,
      ...status,
    },
  };
}

export function aReplicaSet(name: string, replicas: number, status: Partial<ReplicaSet['status']> = {}): ReplicaSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { ...metadata(name), generation: 1 },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'game' } },
      template: { metadata: { labels: { app: 'game' } }, spec: { containers: [{ name: 'game', image: 'demo:1' }] } },
    },
    status: { replicas, availableReplicas: replicas, readyReplicas: replicas, ...status },
  };
}

export function aDeployment(replicas: number, strategy: Deployment['spec']['strategy']): Deployment {
  const { spec, ...set } = aReplicaSet('gs', replicas);
  return { ...set, kind: 'Deployment', spec: { ...spec, strategy }, status: {} };
}

/** A registry on a clock that the test moves, with the namespace arena. */
export function aRegistry(): { registry: Registry; store: Store; clock: { nowMs: number } } {
  const clock = { nowMs: startMs };
  const store = new Store();
  const registry = new Registry({ store, now: () => clock.nowMs, random: Math.random });
  registry.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'arena' }, spec: {} });
  return { registry, store, clock };
}
