import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiServer } from '../../../sandbox/kubernetes/api-server.ts';
import type { KubeObject, Pod } from '../../../sandbox/kubernetes/objects.ts';
import { type Resource, resource } from '../../../sandbox/kubernetes/registry/resource.ts';
import { nodes, pods, resources } from '../../../sandbox/kubernetes/registry/table.ts';
import { startMetadataService } from '../../../sandbox/metadata/metadata-service.ts';
import { startQueueService } from '../../../sandbox/sqs/queue-service.ts';
import { AgentProcess } from '../agent/scene/agent-process.ts';
import { PaperKubelet } from '../agent/scene/paper-kubelet.ts';

const admission = { group: 'admissionregistration.k8s.io', version: 'v1', namespaced: false } as const;
const policyKinds = [
  resource({ ...admission, kind: 'ValidatingAdmissionPolicy', plural: 'validatingadmissionpolicies' }),
  resource({ ...admission, kind: 'ValidatingAdmissionPolicyBinding', plural: 'validatingadmissionpolicybindings' }),
];

interface DaemonSet extends KubeObject {
  readonly spec: { readonly template: { readonly metadata: object; readonly spec: Pod['spec'] } };
}

const nodeName = 'n-1';
const stopMs = 200;

export interface WalkCluster extends AsyncDisposable {
  /** Of an administrator. */
  readonly kubeconfig: string;
  readonly agents: readonly AgentProcess[];
}

/**
 * A cluster of one spot node, for somebody who walks through a guide. A DaemonSet's pod for it is made here; the agent's is a real
 * process with the environment that its manifest says and the rights of its service account.
 */
export async function startWalkCluster(): Promise<WalkCluster> {
  const api = await startApi();
  const metadata = await startMetadataService();
  const queue = await startQueueService({ queues: [{ name: 'game-servers.fifo' }] });
  const directory = await mkdtemp(join(tmpdir(), 'spotable-walk-'));
  const kubeconfig = await writeKubeconfig(directory, 'administrator', api.url);
  const kubelet = new PaperKubelet(api);
  const agents: AgentProcess[] = [];
  const surroundings = {
    METADATA_ENDPOINT: metadata.url,
    LINK: `@spotable-walk-${process.pid}`,
    METRICS_PORT: '0',
    QUEUE_URL: queue.queueUrl('game-servers.fifo'),
    AWS_ENDPOINT_URL_SQS: queue.endpoint,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'x',
  };
  const startAgent = async (pod: Pod) => {
    const token = api.issueToken('spotable', 'spotable-agent');
    const KUBECONFIG = await writeKubeconfig(directory, 'agent', api.url, token);
    agents.push(new AgentProcess({ ...environmentOf(pod), ...surroundings, KUBECONFIG }));
  };
  const starting: Promise<void>[] = [];
  runPods(api, kubelet, (pod) => {
    if (pod.spec.serviceAccountName === 'spotable-agent') starting.push(startAgent(pod));
  });
  runDaemonSets(api);
  const dispose = async () => {
    kubelet.stop();
    await Promise.all(starting);
    await Promise.all(agents.map((agent) => agent.end()));
    await Promise.all([api.close(), metadata.close(), queue.close()]);
    await rm(directory, { recursive: true });
  };
  return { kubeconfig, agents, [Symbol.asyncDispose]: dispose };
}

async function startApi(): Promise<ApiServer> {
  const known = resources as Resource[];
  known.push(...policyKinds.filter(({ kind }) => !known.some((one) => one.kind === kind)));
  // The API double settles which groups it serves when it is loaded.
  const { startApiServer } = await import('../../../sandbox/kubernetes/api-server.ts');
  const api = await startApiServer();
  const labels = { 'kubernetes.io/os': 'linux', 'eks.amazonaws.com/capacityType': 'SPOT' };
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName, labels }, spec: {} };
  api.registry.create(nodes, node);
  const status = {
    conditions: [{ type: 'Ready', status: 'True' }],
    allocatable: { cpu: '8', memory: '16Gi', pods: '110' },
  };
  api.registry.update(nodes, undefined, nodeName, (current) => ({ ...current, status }) as typeof current, {
    subresource: 'status',
  });
  return api;
}

/** Every pod of the node is ready as soon as it is there, and ends when it is told to. */
function runPods({ store }: ApiServer, kubelet: PaperKubelet, onStart: (pod: Pod) => void): void {
  const seen = new Set<string>();
  store.subscribe(pods, ({ type, object }) => {
    const pod = object as Pod;
    if (type === 'DELETED' || pod.spec.nodeName === undefined || seen.has(pod.metadata.uid)) return;
    seen.add(pod.metadata.uid);
    setImmediate(() => {
      onStart(pod);
      kubelet.run(pod, stopMs);
    });
  });
}

function runDaemonSets({ registry, store }: ApiServer): void {
  const daemonSets = (resources as Resource[]).find(({ kind }) => kind === 'DaemonSet') as Resource<DaemonSet>;
  store.subscribe(daemonSets, ({ type, object }) => {
    if (type !== 'ADDED') return;
    const { metadata, spec } = object as DaemonSet;
    const { name, uid, namespace = 'default', generation = 1 } = metadata;
    const owner = { apiVersion: 'apps/v1', kind: 'DaemonSet', name, uid, controller: true };
    setImmediate(() => {
      registry.create(pods, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { ...spec.template.metadata, name: `${name}-0`, namespace, ownerReferences: [owner] },
        spec: { ...spec.template.spec, nodeName },
      });
      const all = [
        'desiredNumberScheduled',
        'currentNumberScheduled',
        'updatedNumberScheduled',
        'numberReady',
        'numberAvailable',
      ];
      const status = { observedGeneration: generation, ...Object.fromEntries(all.map((field) => [field, 1])) };
      registry.update(daemonSets, namespace, name, (current) => ({ ...current, status }) as DaemonSet, {
        subresource: 'status',
      });
    });
  });
}

/** The environment that a kubelet would give to the first container. */
function environmentOf({ metadata, spec }: Pod): Record<string, string> {
  const fields: Readonly<Record<string, string>> = {
    'spec.nodeName': spec.nodeName ?? '',
    'metadata.uid': metadata.uid,
  };
  const variables = spec.containers[0]?.['env'] as readonly {
    name: string;
    value?: string;
    valueFrom?: { fieldRef: { fieldPath: string } };
  }[];
  return Object.fromEntries(
    variables.map(({ name, value, valueFrom }) => [name, value ?? fields[valueFrom?.fieldRef.fieldPath ?? ''] ?? '']),
  );
}

/** Without a token for an administrator: kubectl sends none where there is no TLS. */
async function writeKubeconfig(directory: string, name: string, server: string, token?: string): Promise<string> {
  const path = join(directory, name);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'walk',
    clusters: [{ name: 'walk', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'walk', user: token === undefined ? {} : { token } }],
    contexts: [{ name: 'walk', context: { cluster: 'walk', user: 'walk' } }],
  };
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}
