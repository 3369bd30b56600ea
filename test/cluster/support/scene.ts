import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fixedCredentials, type KubeClient } from '../../../sandbox/kube-client/kube-client.ts';
import type { AnyKubeObject, KubeObject } from '../../../sandbox/kube-client/kube-object.ts';
import { type Kubelet, startKubelet } from '../../../sandbox/kubelet/kubelet.ts';
import type { KubeletEvent } from '../../../sandbox/kubelet/kubelet-event.ts';
import type { Pod } from '../../../sandbox/kubelet/pod/pod.ts';
import { type MetadataService, startMetadataService } from '../../../sandbox/metadata/metadata-service.ts';
import { isoSeconds } from '../../../sandbox/metadata/notices.ts';
import { type QueueService, startQueueService } from '../../../sandbox/sqs/queue-service.ts';
import type { InventoryEvent } from '../../../shared/events/event.ts';
import { AgentProcess } from '../../integration/agent/scene/agent-process.ts';
import { eventually } from '../../integration/agent/scene/eventually.ts';
import { adminClient, testCluster } from './test-cluster.ts';

export interface Node extends KubeObject {
  readonly spec: {
    readonly unschedulable?: boolean;
    readonly taints?: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  };
}

export interface PodOptions {
  /** The container's command, a line of shell. Default: a command that ends a moment after SIGTERM. */
  readonly script?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly graceSeconds?: number;
}

export interface NodeOptions {
  /** Delay from the end of a container to the end of its pod, as on a real kubelet. */
  readonly podEndDelayMs?: { readonly min: number; readonly max: number };
}

/** A kubelet's event with its time. */
export type TimedKubeletEvent = KubeletEvent & { readonly atMs: number };

const queueName = 'game-servers.fifo';
/** Long, because processes share a busy machine, and several controllers act before a wanted pod runs. */
const longMs = 90_000;
let scenes = 0;

/**
 * A namespace and some nodes of the shared control plane, each with a kubelet that runs pods as processes. The agent is
 * a process with the token that a kubelet would mount into its pod on that node. Several scenes run in parallel.
 */
export class Scene implements AsyncDisposable {
  readonly namespace: string;
  readonly kube: KubeClient;
  readonly queue: QueueService;
  readonly nodes: SceneNode[] = [];
  readonly directory: string;

  constructor(namespace: string, kube: KubeClient, queue: QueueService, directory: string) {
    this.namespace = namespace;
    this.kube = kube;
    this.queue = queue;
    this.directory = directory;
  }

  static async start(): Promise<Scene> {
    const kube = adminClient();
    const namespace = `scene-${process.pid}-${++scenes}`;
    await kube.create('/api/v1/namespaces', { metadata: { name: namespace } });
    const queue = await startQueueService({ queues: [{ name: queueName }] });
    const directory = await mkdtemp(join(tmpdir(), 'cluster-scene-'));
    await eventually('the namespace has its service account', async () =>
      kube.get(`/api/v1/namespaces/${namespace}/serviceaccounts/default`).catch(() => false as const),
    );
    return new Scene(namespace, kube, queue, directory);
  }

  /** Another node, registered and ready for pods. */
  async addNode({ podEndDelayMs = { min: 0, max: 0 } }: NodeOptions = {}): Promise<SceneNode> {
    const { url, adminToken, authority } = testCluster();
    const name = `n-${this.namespace}-${this.nodes.length + 1}`;
    const kubeletEvents: TimedKubeletEvent[] = [];
    const directory = join(this.directory, name);
    const metadata = await startMetadataService();
    const kubelet = await startKubelet({
      credentials: fixedCredentials(url, { token: adminToken, ca: authority }),
      node: name,
      labels: { 'spotable.test/scene': this.namespace },
      root: join(directory, 'kubelet'),
      imageEnvironment: { PATH: process.env['PATH'] ?? '' },
      imageDirectory: directory,
      restartBackoffMs: 1000,
      podEndDelayMs,
      tell: (event) => kubeletEvents.push({ ...event, atMs: Date.now() }),
    });
    await mkdir(directory, { recursive: true });
    const node = new SceneNode(this, name, directory, metadata, kubelet, kubeletEvents);
    this.nodes.push(node);
    await eventually(`node ${name} takes pods`, async () => {
      if (!kubeletEvents.some(({ event }) => event === 'node-registered')) return false;
      return (await node.read()).spec.taints === undefined;
    });
    return node;
  }

  path(kind: string, name = ''): string {
    const group = { deployments: 'apps/v1', daemonsets: 'apps/v1', poddisruptionbudgets: 'policy/v1' }[kind];
    return `${group === undefined ? '/api/v1' : `/apis/${group}`}/namespaces/${this.namespace}/${kind}${name && `/${name}`}`;
  }

  /** A pod bound to the node. */
  async addPod({ name: nodeName }: SceneNode, name: string, options: PodOptions = {}): Promise<Pod> {
    const { metadata, spec } = podTemplate(name, options);
    await this.kube.create(this.path('pods'), { metadata: { ...metadata, name }, spec: { ...spec, nodeName } });
    return this.podRuns(name);
  }

  /** Deploys this many pods on nodes that the scheduler chooses from the scene; resolves when all are ready. */
  async deploy(name: string, replicas: number, options: PodOptions = {}): Promise<void> {
    const template = this.#onNodesOfTheScene(name, options);
    const selector = { matchLabels: { app: name } };
    await this.kube.create(this.path('deployments'), { metadata: { name }, spec: { replicas, selector, template } });
    await this.isDeployed(name, replicas);
  }

  async isDeployed(name: string, replicas: number): Promise<void> {
    await eventually(
      `${replicas} pods of ${name} are ready`,
      async () => {
        const { status = {} } = await this.kube.get(this.path('deployments', name));
        return status['readyReplicas'] === replicas && status['replicas'] === replicas;
      },
      longMs,
    );
  }

  async addDaemonSet(name: string): Promise<void> {
    const template = this.#onNodesOfTheScene(name, {});
    const selector = { matchLabels: { app: name } };
    await this.kube.create(this.path('daemonsets'), { metadata: { name }, spec: { selector, template } });
    await eventually('the daemon runs on every node', async () => {
      const { status = {} } = await this.kube.get(this.path('daemonsets', name));
      return status['numberReady'] === this.nodes.length;
    });
  }

  #onNodesOfTheScene(name: string, options: PodOptions): object {
    const { metadata, spec } = podTemplate(name, options);
    return { metadata, spec: { ...spec, nodeSelector: { 'spotable.test/scene': this.namespace } } };
  }

  /** A budget over the pods of that name; resolves when the disruption controller has counted them. */
  async guard(name: string, spec: object): Promise<void> {
    const selector = { matchLabels: { app: name } };
    const body = { metadata: { name }, spec: { ...spec, selector } };
    await this.kube.create(this.path('poddisruptionbudgets'), body);
    await eventually('the budget is counted', async () => {
      const { status = {} } = await this.kube.get(this.path('poddisruptionbudgets', name));
      return status['observedGeneration'] === 1 && Number(status['expectedPods']) > 0;
    });
  }

  async podRuns(name: string): Promise<Pod> {
    const isReady = (pod: Pod) =>
      pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true && pod;
    return eventually(
      `pod ${name} is ready`,
      async () => isReady(await this.kube.get<Pod>(this.path('pods', name))),
      longMs,
    );
  }

  async pods(): Promise<readonly Pod[]> {
    return (await this.kube.list<Pod>(this.path('pods'))).items;
  }

  /** A token as a kubelet projects it for the link: for this audience, bound to the pod. */
  async linkToken({ metadata: { name, uid } }: Pod, audience = 'spotable'): Promise<string> {
    const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name, uid };
    const spec = { audiences: [audience], boundObjectRef };
    const { status = {} } = await this.kube.create(`${this.path('serviceaccounts', 'default')}/token`, { spec });
    return String(status['token']);
  }

  /** Every event that the queue took. */
  async events(): Promise<readonly InventoryEvent[]> {
    return (await this.queue.messages(queueName)).map(({ body }) => JSON.parse(body) as InventoryEvent);
  }

  async nodeStates(): Promise<readonly string[]> {
    const found = (await this.events()).filter(({ type }) => type.startsWith('dev.spotable.node.'));
    return found.toSorted((a, b) => a.data.sequence - b.data.sequence).map(({ data }) => data.status);
  }

  get queueSettings(): Record<string, string> {
    return {
      QUEUE_URL: this.queue.queueUrl(queueName),
      AWS_REGION: 'eu-west-1',
      AWS_ENDPOINT_URL_SQS: this.queue.endpoint,
      AWS_ACCESS_KEY_ID: 'x',
      AWS_SECRET_ACCESS_KEY: 'x',
      AWS_EC2_METADATA_DISABLED: 'true',
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.end()));
    await this.kube.remove(`/api/v1/namespaces/${this.namespace}`).catch(() => {});
    await this.queue.close();
    this.kube.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** A node of a scene, its instance's metadata service, and the agents on it. */
export class SceneNode {
  readonly name: string;
  readonly metadata: MetadataService;
  readonly kubelet: Kubelet;
  /** Every event that its kubelet reported. */
  readonly kubeletEvents: readonly TimedKubeletEvent[];
  readonly agents: AgentProcess[] = [];
  readonly link: string;
  readonly #scene: Scene;
  readonly #directory: string;
  #agentPod: Pod | undefined;

  constructor(
    scene: Scene,
    name: string,
    directory: string,
    metadata: MetadataService,
    kubelet: Kubelet,
    kubeletEvents: readonly TimedKubeletEvent[],
  ) {
    this.#scene = scene;
    this.name = name;
    this.#directory = directory;
    this.metadata = metadata;
    this.kubelet = kubelet;
    this.kubeletEvents = kubeletEvents;
    this.link = `@${name}`;
  }

  read(): Promise<Node> {
    return this.#scene.kube.get<Node>(`/api/v1/nodes/${this.name}`);
  }

  async patch(change: object): Promise<void> {
    await this.#scene.kube.patch(`/api/v1/nodes/${this.name}`, 'merge', change);
  }

  async annotate(annotations: Readonly<Record<string, string | null>>): Promise<void> {
    await this.patch({ metadata: { annotations } });
  }

  /** Writes the node again and again, as another client, while `act` runs. Returns the number of writes. */
  async writeMeanwhile(act: () => Promise<unknown>): Promise<number> {
    let isOver = false;
    let writes = 0;
    const write = async () => {
      while (!isOver) await this.annotate({ 'example.com/other': String(++writes) });
    };
    const writing = write();
    try {
      await act();
    } finally {
      isOver = true;
      await writing;
    }
    return writes;
  }

  async isCordoned(): Promise<boolean> {
    return (await this.read()).spec.unschedulable === true;
  }

  /** Taints other than the one with which Kubernetes itself repeats a cordon. */
  async taints(): Promise<readonly string[]> {
    const { spec } = await this.read();
    const found = (spec.taints ?? []).map(({ key, value }) => (value === undefined ? key : `${key}=${value}`));
    return found.filter((taint) => taint !== 'node.kubernetes.io/unschedulable');
  }

  async mark(): Promise<Record<string, unknown> | undefined> {
    const text = (await this.read()).metadata.annotations?.['spotable.dev/interruption'];
    return text === undefined ? undefined : (JSON.parse(text) as Record<string, unknown>);
  }

  /** Announces a spot termination this many milliseconds ahead; EC2 writes whole seconds. Returns its deadline. */
  announceSpot(inMs: number): number {
    const time = isoSeconds(Date.now() + inMs);
    this.metadata.announce('spot', { action: 'terminate', time });
    return Date.parse(time);
  }

  /** Reasons of the Kubernetes events about this node. */
  async reasons(): Promise<readonly string[]> {
    const { items } = await this.#scene.kube.list<AnyKubeObject & { reason: string }>(
      `/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3D${this.name}`,
    );
    return items.map(({ reason }) => reason);
  }

  /** An agent with the rights of the manifests that sees its node, its pods and all its rights. */
  async startAgent(env: Readonly<Record<string, string>> = {}): Promise<AgentProcess> {
    const { url } = testCluster();
    const server = new URL(url);
    const agent = new AgentProcess({
      NODE_NAME: this.name,
      POD_UID: (await this.#ownPod()).metadata.uid,
      KUBERNETES_SERVICE_HOST: server.hostname,
      KUBERNETES_SERVICE_PORT: server.port,
      SERVICE_ACCOUNT_DIR: await this.mountToken(),
      METADATA_ENDPOINT: this.metadata.url,
      LINK: this.link,
      METRICS_PORT: '0',
      POLL_INTERVAL: '100ms',
      ...this.#scene.queueSettings,
      ...env,
    });
    this.agents.push(agent);
    await agent.says('Link server listening', undefined, longMs);
    await eventually('the agent is ready', async () => (await agent.get('/readyz')).status === 200, longMs);
    return agent;
  }

  /**
   * Writes the files that a kubelet mounts into the agent's pod: a token bound to that pod, and the authority. Returns
   * the folder.
   */
  async mountToken(): Promise<string> {
    const { name, uid } = (await this.#ownPod()).metadata;
    const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name, uid };
    const path = '/api/v1/namespaces/spotable/serviceaccounts/spotable-agent/token';
    const { status = {} } = await this.#scene.kube.create(path, { spec: { boundObjectRef } });
    const folder = join(this.#directory, 'service-account');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'token'), String(status['token']), { mode: 0o600 });
    await writeFile(join(folder, 'ca.crt'), testCluster().authority);
    return folder;
  }

  /** The tests run agents as their own processes, so that they can be killed. This pod lends them its identity. */
  async #ownPod(): Promise<Pod> {
    this.#agentPod ??= await this.#scene.kube.create<Pod>('/api/v1/namespaces/spotable/pods', {
      metadata: { name: `agent-of-${this.name}` },
      spec: {
        ...podTemplate('agent', {}).spec,
        nodeName: this.name,
        serviceAccountName: 'spotable-agent',
        tolerations: [{ operator: 'Exists' }],
      },
    });
    return this.#agentPod;
  }

  async end(): Promise<void> {
    await Promise.all(this.agents.map((agent) => agent.hasExited || agent.end()));
    await this.kubelet.take();
    await this.metadata.close();
    const { kube } = this.#scene;
    const pod = this.#agentPod?.metadata.name;
    if (pod !== undefined)
      await kube.remove(`/api/v1/namespaces/spotable/pods/${pod}`, { gracePeriodSeconds: 0 }).catch(() => {});
    await kube.remove(`/api/v1/nodes/${this.name}`).catch(() => {});
  }
}

const endsSoonAfterTerm = 'trap "exit 0" TERM; sleep 10000 & wait';

function podTemplate(
  name: string,
  { script = endsSoonAfterTerm, labels = {}, graceSeconds = 30 }: PodOptions,
): { readonly metadata: object; readonly spec: object } {
  return {
    metadata: { labels: { app: name, ...labels } },
    spec: {
      containers: [{ name: 'game', image: 'none:1', command: ['/bin/sh', '-c', script] }],
      terminationGracePeriodSeconds: graceSeconds,
      automountServiceAccountToken: false,
    },
  };
}
