import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ApiServer, type ApiServerOptions, startApiServer } from '../../../../sandbox/kubernetes/api-server.ts';
import { kubeconfigOf } from '../../../../sandbox/kubernetes/kubeconfig.ts';
import type { Node, Pod } from '../../../../sandbox/kubernetes/objects.ts';
import {
  budgets,
  events,
  namespaces,
  nodes,
  pods,
  serviceAccounts,
} from '../../../../sandbox/kubernetes/registry/table.ts';
import { type MetadataService, startMetadataService } from '../../../../sandbox/metadata/metadata-service.ts';
import { isoSeconds } from '../../../../sandbox/metadata/notices.ts';
import { type QueueService, startQueueService } from '../../../../sandbox/sqs/queue-service.ts';
import type { InventoryEvent } from '../../../../shared/events/event.ts';
import { type FaultProxy, startFaultProxy } from '../../../support/fault-proxy.ts';
import { AgentProcess } from './agent-process.ts';
import { eventually } from './eventually.ts';
import { PaperKubelet } from './paper-kubelet.ts';
import { type PaperPod, PaperWrapper } from './paper-wrapper.ts';

export interface SceneOptions {
  readonly api?: ApiServerOptions;
  readonly queue?: boolean;
  /** Whether the agent reaches the API server through a proxy that can fail. */
  readonly hasProxy?: boolean;
}

export interface PodOptions {
  readonly graceSeconds?: number;
  readonly isGameServer?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly owner?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** How long it takes to end after SIGTERM; longer than its grace: it is killed. */
  readonly stopMs?: number;
  /** How long it is listed after its containers have ended. */
  readonly lagMs?: number;
  readonly finalizers?: readonly string[];
  readonly priority?: number;
  readonly namespace?: string;
}

/** On a machine that is busy with other tests a process of fifty files takes its time. */
const maxStartMs = 60_000;
const queueName = 'inventory.fifo';
let scenes = 0;

/**
 * One node of a cluster, its instance's metadata service and a queue, in this process; agents beside it as processes.
 */
export class ClusterScene implements AsyncDisposable {
  readonly nodeName = 'n-1';
  readonly api: ApiServer;
  readonly metadata: MetadataService;
  readonly queue: QueueService;
  readonly kubelet: PaperKubelet;
  readonly link: string;
  readonly agents: AgentProcess[] = [];
  readonly wrappers: PaperWrapper[] = [];
  readonly #directory: string;
  readonly #proxy: FaultProxy | undefined;

  constructor(api: ApiServer, metadata: MetadataService, queue: QueueService, directory: string, proxy?: FaultProxy) {
    this.#proxy = proxy;
    this.api = api;
    this.metadata = metadata;
    this.queue = queue;
    this.#directory = directory;
    this.kubelet = new PaperKubelet(api);
    this.link = `@spotable-test-${process.pid}-${++scenes}`;
  }

  static async start({ api = {}, hasProxy = false }: SceneOptions = {}): Promise<ClusterScene> {
    const server = await startApiServer({ controllers: ['disruption'], ...api });
    server.registry.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'arena' }, spec: {} });
    server.registry.create(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n-1' }, spec: {} });
    const metadata = await startMetadataService();
    const queue = await startQueueService({ queues: [{ name: queueName }] });
    const directory = await mkdtemp(join(tmpdir(), 'agent-scene-'));
    const proxy = hasProxy ? await startFaultProxy({ target: new URL(server.url), certificate: 'plain' }) : undefined;
    return new ClusterScene(server, metadata, queue, directory, proxy);
  }

  get proxy(): FaultProxy {
    if (this.#proxy === undefined) throw new Error('The scene has no proxy');
    return this.#proxy;
  }

  get node(): Node {
    return this.api.registry.get(nodes, undefined, this.nodeName);
  }

  get isCordoned(): boolean {
    return this.node.spec.unschedulable === true;
  }

  get mark(): Record<string, unknown> | undefined {
    const text = this.node.metadata.annotations?.['spotable.dev/interruption'];
    return text === undefined ? undefined : (JSON.parse(text) as Record<string, unknown>);
  }

  get taints(): readonly string[] {
    return (this.node.spec.taints ?? []).map(({ key, value }) => `${key}=${value ?? ''}`);
  }

  get pods(): readonly Pod[] {
    return this.api.registry.store.list(pods);
  }

  changeNode(change: (node: Node) => Node): void {
    this.api.registry.update(nodes, undefined, this.nodeName, change);
  }

  annotate(annotations: Readonly<Record<string, string>>): void {
    this.changeNode((node) => ({
      ...node,
      metadata: { ...node.metadata, annotations: { ...node.metadata.annotations, ...annotations } },
    }));
  }

  addPod(name: string, options: PodOptions = {}): PaperPod {
    const {
      graceSeconds = 30,
      isGameServer = true,
      labels = {},
      owner = 'ReplicaSet',
      annotations = {},
      stopMs = 0,
      lagMs = 0,
      finalizers = [],
      priority = 0,
      namespace = 'arena',
    } = options;
    if (this.api.store.get(namespaces, undefined, namespace) === undefined)
      this.api.registry.create(namespaces, {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: namespace },
        spec: {},
      });
    const pod = this.api.registry.create(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name,
        namespace,
        finalizers: [...finalizers],
        labels: { app: name, ...(isGameServer && { 'spotable.dev/game-server': 'true' }), ...labels },
        annotations,
        ownerReferences: [{ apiVersion: 'apps/v1', kind: owner, name: 'owner', uid: 'owner-uid', controller: true }],
      },
      spec: {
        nodeName: this.nodeName,
        containers: [{ name: 'game', image: 'demo:1' }],
        terminationGracePeriodSeconds: graceSeconds,
        priority,
      },
    });
    this.kubelet.run(pod, stopMs, lagMs);
    const { uid } = pod.metadata;
    return { namespace, name, uid };
  }

  /** A budget over the pod of that name that lets nobody evict it. */
  guard(name: string): void {
    this.api.registry.create(budgets, {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name, namespace: 'arena' },
      spec: { minAvailable: 1, selector: { matchLabels: { app: name } } },
    });
  }

  unguard(name: string): void {
    this.api.registry.delete(budgets, 'arena', name, {});
  }

  /** A token as the kubelet projects it: for this audience, bound to the pod. */
  async token({ name, uid }: PaperPod, audience = 'spotable'): Promise<string> {
    const isThere = this.api.registry.store.get(serviceAccounts, 'arena', 'game') !== undefined;
    if (!isThere)
      this.api.registry.create(serviceAccounts, {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: 'game', namespace: 'arena' },
      });
    const response = await fetch(`${this.api.url}/api/v1/namespaces/arena/serviceaccounts/game/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences: [audience], boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name, uid } },
      }),
    });
    const { status } = (await response.json()) as { status: { token: string } };
    return status.token;
  }

  addWrapper(pod: PaperPod, returns = true): PaperWrapper {
    const wrapper = new PaperWrapper(this.link, pod, returns);
    this.wrappers.push(wrapper);
    return wrapper;
  }

  /** The notice of a spot termination so many milliseconds ahead; EC2 writes whole seconds. Returns its deadline. */
  announceSpot(inMs: number, action: 'terminate' | 'stop' | 'hibernate' = 'terminate'): number {
    const time = isoSeconds(Date.now() + inMs);
    this.metadata.announce('spot', { action, time });
    return Date.parse(time);
  }

  /** The path of a kubeconfig for whom this token stands for; without one for an administrator. */
  async kubeconfig(token?: string, url: string = this.#proxy?.url ?? this.api.url): Promise<string> {
    const path = join(this.#directory, `kubeconfig-${token ?? 'admin'}-${new URL(url).port}`);
    await writeFile(path, kubeconfigOf(url, { token }));
    return path;
  }

  /** Ends the pod at once, and starts another one of its name, which needs so long to end. */
  replacePod(name: string, stopMs: number): PaperPod {
    this.api.registry.delete(pods, 'arena', name, { gracePeriodSeconds: 0 });
    return this.addPod(name, { isGameServer: false, owner: 'StatefulSet', stopMs });
  }

  /** Settings of an agent on this node. */
  async environment(): Promise<Record<string, string>> {
    return {
      KUBECONFIG: await this.kubeconfig(),
      NODE_NAME: this.nodeName,
      METADATA_ENDPOINT: this.metadata.url,
      LINK: this.link,
      METRICS_PORT: '0',
      POLL_INTERVAL: '100ms',
      QUEUE_URL: this.queue.queueUrl(queueName),
      AWS_REGION: 'eu-west-1',
      AWS_ENDPOINT_URL_SQS: this.queue.endpoint,
      AWS_ACCESS_KEY_ID: 'x',
      AWS_SECRET_ACCESS_KEY: 'x',
      AWS_EC2_METADATA_DISABLED: 'true',
    };
  }

  /** Starts an agent. */
  async launchAgent(env: Readonly<Record<string, string>> = {}, command?: readonly string[]): Promise<AgentProcess> {
    const agent = new AgentProcess({ ...(await this.environment()), ...env }, [], command);
    this.agents.push(agent);
    return agent;
  }

  /** Starts an agent and waits until its link listens. */
  async startAgent(env: Readonly<Record<string, string>> = {}, command?: readonly string[]): Promise<AgentProcess> {
    const agent = await this.launchAgent(env, command);
    await agent.says('Link server listening', undefined, maxStartMs);
    return agent;
  }

  /** The same, and until it has seen the node and its pods. */
  async startReadyAgent(
    env: Readonly<Record<string, string>> = {},
    command?: readonly string[],
  ): Promise<AgentProcess> {
    const agent = await this.startAgent(env, command);
    await eventually(
      () => 'the agent is ready',
      async () => (await agent.get('/readyz')).status === 200,
      maxStartMs,
    );
    return agent;
  }

  /** Every event that the queue took. */
  async events(): Promise<readonly InventoryEvent[]> {
    return (await this.queue.messages(queueName)).map(({ body }) => JSON.parse(body) as InventoryEvent);
  }

  /** States of the node in the inventory, in order. */
  async nodeStates(): Promise<readonly string[]> {
    const found = (await this.events()).filter(({ type }) => type.startsWith('dev.spotable.node.'));
    return found.toSorted((a, b) => a.data.sequence - b.data.sequence).map(({ data }) => data.status);
  }

  /** Messages of the Kubernetes events with that reason. */
  kubeEvents(reason: string): readonly string[] {
    return this.api.registry.store
      .list(events)
      .flatMap((event) => (event.reason === reason ? [event.message ?? ''] : []));
  }

  /** Calls of the agent that change something, watched from outside. */
  calls(method: string, path: RegExp): number {
    return this.api.requests.filter((request) => request.method === method && path.test(request.path)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const wrapper of this.wrappers) wrapper.end();
    await Promise.all(this.agents.map((agent) => agent.hasExited || agent.end()));
    this.kubelet.stop();
    await this.#proxy?.[Symbol.asyncDispose]();
    await Promise.all([this.api.close(), this.metadata.close(), this.queue.close()]);
    await rm(this.#directory, { recursive: true, force: true });
  }
}
