import { setTimeout as sleep } from 'node:timers/promises';
import type {
  KubeObject,
  Pod,
  PodDisruptionBudget,
  Role,
  RoleBinding,
} from '../../../../../sandbox/kubernetes/objects.ts';
import {
  budgets,
  clusterRoleBindings,
  clusterRoles,
  namespaces,
  nodes,
  pods,
  resources,
  serviceAccounts,
} from '../../../../../sandbox/kubernetes/registry/table.ts';
import type { Stage } from './replay.ts';
import { type Exchange, eventsOf, type RecordedObject } from './transcript.ts';

/** Puts a recorded object into the store as it is, uid included. */
export function place(stage: Stage, object: RecordedObject): void {
  const apiVersion = (object['apiVersion'] as string | undefined) ?? 'v1';
  const of = resources.find((one) => one.kind === object.kind && apiVersion.endsWith(one.version));
  if (of === undefined) throw new Error(`Cannot place ${object.kind} ${object.metadata.name}: no such resource`);
  stage.server.store.put(of, structuredClone(object) as unknown as KubeObject);
}

export function createNamespace(stage: Stage, name: string): void {
  stage.server.registry.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name }, spec: {} });
}

export function answerOf(stage: Stage, index: number): RecordedObject {
  return structuredClone(exchangeOf(stage, index).response.body) as RecordedObject;
}

export function exchangeOf(stage: Stage, index: number): Exchange {
  const exchange = stage.transcript.exchanges[index];
  if (exchange === undefined) throw new Error(`No exchange ${index}`);
  return exchange;
}

/** The pod as it was before anyone wanted it gone. */
export function undeleted(pod: RecordedObject): RecordedObject {
  const { deletionTimestamp, deletionGracePeriodSeconds, ...metadata } = pod.metadata;
  const conditions = (pod.status?.['conditions'] ?? []) as { type: string; reason?: string }[];
  return {
    ...pod,
    metadata: { ...metadata, generation: 1 } as RecordedObject['metadata'],
    status: { ...pod.status, conditions: conditions.filter(({ type }) => type !== 'DisruptionTarget') },
  };
}

/** The pod under another name, with another uid and the label app to match. */
export function twin(pod: RecordedObject, name: string, uid: string): RecordedObject {
  return { ...structuredClone(pod), metadata: { ...structuredClone(pod.metadata), name, uid, labels: { app: name } } };
}

export function changePod(stage: Stage, namespace: string, name: string, change: (pod: Pod) => Pod): void {
  const pod = stage.server.registry.get(pods, namespace, name);
  stage.server.store.put(pods, change(structuredClone(pod)));
}

export function budget(
  name: string,
  app: string,
  spec: Partial<PodDisruptionBudget['spec']>,
  status: Partial<PodDisruptionBudget['status']> = {},
): RecordedObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: {
      name,
      namespace: 'arena',
      uid: `00000000-0000-4000-8000-${app.padStart(12, '0').replaceAll(/[^0-9a-f]/g, '0')}`,
      generation: 1,
      creationTimestamp: '2026-11-22T11:31:05Z',
    },
    spec: { selector: { matchLabels: { app } }, ...spec },
    status: {
      observedGeneration: 1,
      disruptionsAllowed: 0,
      currentHealthy: 0,
      desiredHealthy: 0,
      expectedPods: 0,
      ...status,
    },
  } as unknown as RecordedObject;
}

export function changeBudget(
  stage: Stage,
  name: string,
  change: (one: PodDisruptionBudget) => PodDisruptionBudget,
): void {
  const current = stage.server.registry.get(budgets, 'arena', name);
  stage.server.store.put(budgets, change(structuredClone(current)));
}

/** A node like the n1 of the recordings. */
export function placeNode(stage: Stage, name: string, uid = 'a1246142-37d9-48b6-8ab1-4ab61229745d'): void {
  stage.server.store.put(nodes, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      uid,
      resourceVersion: '',
      creationTimestamp: '2026-11-22T11:11:21Z',
      labels: { 'kubernetes.io/hostname': name },
    },
    spec: {},
    status: {},
  });
}

/** The service account of the recordings, and its rights. */
export function placeAgent(stage: Stage): void {
  createNamespace(stage, 'arena3');
  const { registry } = stage.server;
  registry.create(serviceAccounts, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'agent', namespace: 'arena3' },
  });
  const role: Pick<Role, 'rules'> = {
    rules: [
      { verbs: ['get', 'patch'], apiGroups: [''], resources: ['nodes'] },
      { verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['pods'] },
      { verbs: ['create'], apiGroups: [''], resources: ['pods/eviction'] },
    ],
  };
  const rbac = 'rbac.authorization.k8s.io';
  registry.create(clusterRoles, {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRole',
    metadata: { name: 'agent3' },
    ...role,
  });
  const binding: Pick<RoleBinding, 'roleRef' | 'subjects'> = {
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'agent3' },
    subjects: [{ kind: 'ServiceAccount', name: 'agent', namespace: 'arena3' }],
  };
  const names = { apiVersion: `${rbac}/v1`, kind: 'ClusterRoleBinding', metadata: { name: 'agent3' } };
  registry.create(clusterRoleBindings, { ...names, ...binding });
}

/**
 * Plays the kubelet: writes those states of a recorded watch that neither a client, the scheduler nor a controller
 * brought about, from `from` on until someone else has to act. Where the next thing is the end, it confirms it.
 */
export async function playKubelet(stage: Stage, watch: number, from: number): Promise<void> {
  const events = eventsOf(exchangeOf(stage, watch));
  for (const [index, { type, object }] of events.entries()) {
    if (index < from) continue;
    const before = events[index - 1]?.object;
    if (type !== 'MODIFIED' || before === undefined || isControlPlane(before, object)) {
      if (object.metadata['deletionGracePeriodSeconds'] === 0) await confirmEnd(stage, object);
      return;
    }
    await writeStatus(stage, object);
  }
}

/** The index behind the event that says the pod is to go. */
export function afterDeletionBegan(stage: Stage, watch: number): number {
  const events = eventsOf(exchangeOf(stage, watch));
  return events.findIndex(({ object }) => object.metadata['deletionTimestamp'] !== undefined) + 1;
}

/** Writes a recorded status through the API, as a kubelet does. */
export async function writeStatus(stage: Stage, recorded: RecordedObject): Promise<void> {
  const path = pathOf(stage, recorded);
  const current = await waitForNode(stage, path);
  const reply = await stage.send('PUT', `${path}/status`, { ...current, status: recorded.status });
  if (reply.status !== 200) throw new Error(`The kubelet could not write: ${JSON.stringify(reply.body)}`);
  stage.learn(recorded, reply.body);
}

/** The same between two recorded exchanges, where the version it made is in none of them. */
export function takeStatus(stage: Stage, recorded: RecordedObject): void {
  const { namespace = '', name } = recorded.metadata;
  const status = recorded.status as Pod['status'];
  changePod(stage, namespace, stage.translate(name), (pod) => ({ ...pod, status }));
}

const deadlineMs = 5_000;

/** A kubelet sees a pod only once it has a node. */
async function waitForNode(stage: Stage, path: string): Promise<RecordedObject> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const pod = (await stage.send('GET', path)).body as RecordedObject;
    if (pod.spec?.['nodeName'] !== undefined) return pod;
    if (performance.now() > endMs) throw new Error(`No node for ${path} within ${deadlineMs} ms`);
    await sleep(5);
  }
}

function pathOf(stage: Stage, { metadata }: RecordedObject): string {
  return `/api/v1/namespaces/${metadata.namespace}/pods/${stage.translate(metadata.name)}`;
}

function isControlPlane(before: RecordedObject, after: RecordedObject): boolean {
  const facts = ({ metadata, status, spec }: RecordedObject): string =>
    JSON.stringify([
      metadata['deletionTimestamp'],
      metadata['deletionGracePeriodSeconds'],
      metadata['labels'],
      metadata['ownerReferences'],
      spec?.['nodeName'],
      ((status?.['conditions'] ?? []) as { type: string }[]).some(({ type }) => type === 'DisruptionTarget'),
    ]);
  return facts(before) !== facts(after);
}

export async function confirmEnd(stage: Stage, pod: RecordedObject): Promise<void> {
  const options = { gracePeriodSeconds: 0, preconditions: { uid: stage.translate(pod.metadata.uid) } };
  const reply = await stage.send('DELETE', pathOf(stage, pod), options);
  if (reply.status !== 200) throw new Error(`The kubelet could not confirm the end: ${JSON.stringify(reply.body)}`);
}

/** A pod as a client sends it: without what the server writes. */
export function asSent({ kind, spec = {}, metadata, ...rest }: RecordedObject): unknown {
  const { nodeName, ...unbound } = spec;
  const { name, namespace, labels } = metadata;
  return { apiVersion: rest['apiVersion'], kind, metadata: { name, namespace, labels }, spec: unbound };
}
