import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ApiServer, type ApiServerOptions, startApiServer } from '../../../sandbox/kubernetes/api-server.ts';
import { kubeconfigOf } from '../../../sandbox/kubernetes/kubeconfig.ts';
import type { Pod } from '../../../sandbox/kubernetes/objects.ts';
import { deployments, namespaces, nodes, pods } from '../../../sandbox/kubernetes/registry/table.ts';
import { AgentProcess } from '../agent/scene/agent-process.ts';
import { eventually } from '../agent/scene/eventually.ts';

const entry = new URL('../../../fleet/main.ts', import.meta.url).pathname;
export const namespace = 'arena';

export interface Reply {
  readonly status: number;
  readonly body: Record<string, unknown> & { readonly gameServerName?: string };
}

/** A cluster double without kubelets: nodes and readiness are what the test writes. The fleet processes are real. */
export class FleetScene implements AsyncDisposable {
  readonly api: ApiServer;
  readonly #folder: string;
  readonly #processes: AgentProcess[] = [];

  constructor(api: ApiServer, folder: string) {
    this.api = api;
    this.#folder = folder;
  }

  static async start(options: ApiServerOptions = {}): Promise<FleetScene> {
    const api = await startApiServer(options);
    const folder = await mkdtemp(join(tmpdir(), 'fleet-scene-'));
    api.registry.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace }, spec: {} });
    await writeFile(join(folder, 'kubeconfig'), kubeconfigOf(api.url));
    return new FleetScene(api, folder);
  }

  get kubeconfig(): string {
    return join(this.#folder, 'kubeconfig');
  }

  addNode(name: string): void {
    this.api.registry.create(nodes, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name },
      spec: {},
      status: {
        conditions: [{ type: 'Ready', status: 'True' }],
        addresses: [{ type: 'ExternalIP', address: '198.51.100.7' }],
        allocatable: { cpu: '64', memory: '256Gi', pods: '110' },
        capacity: { cpu: '64', memory: '256Gi', pods: '110' },
      },
    } as never);
  }

  cordon(name: string): void {
    this.api.registry.update(nodes, undefined, name, (node) => ({
      ...node,
      spec: { ...node.spec, unschedulable: true },
    }));
  }

  addFleet(name: string, replicas: number, annotations: Readonly<Record<string, string>> = {}): void {
    const own = { 'spotable.dev/fleet': name, 'spotable.dev/allocation': 'unallocated' };
    this.api.registry.create(deployments, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace, annotations },
      spec: {
        replicas,
        selector: { matchLabels: own },
        template: {
          metadata: { labels: { ...own, game: 'arena' } },
          spec: { containers: [{ name: 'game', image: 'arena:1' }] },
        },
      },
    } as never);
  }

  scale(name: string, replicas: number): void {
    this.api.registry.update(deployments, namespace, name, (fleet) => ({
      ...fleet,
      spec: { ...fleet.spec, replicas },
    }));
  }

  pods(): readonly Pod[] {
    return this.api.store.list(pods, namespace);
  }

  pod(name: string): Pod {
    return this.api.registry.get(pods, namespace, name);
  }

  annotate(name: string, annotations: Readonly<Record<string, string>>): void {
    this.api.registry.update(pods, namespace, name, (pod) => ({
      ...pod,
      metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, ...annotations } },
    }));
  }

  /** What a kubelet reports of a game that is up. */
  setStatus(name: string, status: object): void {
    this.api.registry.update(
      pods,
      namespace,
      name,
      (pod) => ({ ...pod, status: { ...pod.status, ...status } }) as Pod,
      { subresource: 'status' },
    );
  }

  /** Every pod that is bound to a node becomes ready; resolves when `count` unallocated ones are. */
  async warm(count: number): Promise<void> {
    await eventually(`${count} warm game servers`, () => {
      for (const { metadata, spec, status } of this.pods())
        if (spec.nodeName !== undefined && status.phase !== 'Running')
          this.setStatus(metadata.name, {
            phase: 'Running',
            hostIP: '10.0.0.1',
            conditions: [{ type: 'Ready', status: 'True' }],
            containerStatuses: [{ name: 'game', restartCount: 0, ready: true, image: '', imageID: '' }],
          });
      const ready = this.pods().filter(
        ({ metadata, status }) =>
          metadata.labels?.['spotable.dev/allocation'] === 'unallocated' &&
          metadata.deletionTimestamp === undefined &&
          status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
      );
      return ready.length >= count;
    });
  }

  /** A fleet process that sees everything. Gives the address of its door. */
  async serve(
    identity: string,
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly process: AgentProcess; readonly url: string }> {
    const settings = {
      KUBECONFIG: this.kubeconfig,
      NAMESPACE: namespace,
      POD_NAME: identity,
      LISTEN: '0',
      METRICS_PORT: '0',
    };
    const process = new AgentProcess({ ...settings, SHUTDOWN_DELAY: '0s', ...env }, ['serve'], [entry]);
    this.#processes.push(process);
    const { port, tls } = await process.says('Allocations are served', undefined, 60_000);
    await eventually('the process is ready', async () => (await process.get('/readyz')).status === 200, 60_000);
    return { process, url: `${tls === 'none' ? 'http' : 'https'}://127.0.0.1:${port}` };
  }

  /** A command as somebody at a terminal gives it. */
  async run(
    ...args: readonly string[]
  ): Promise<{ readonly status: number; readonly out: string; readonly err: string }> {
    const { spawn } = await import('node:child_process');
    const { text } = await import('node:stream/consumers');
    const child = spawn(process.execPath, [entry, ...args], {
      env: { PATH: process.env['PATH'] ?? '', KUBECONFIG: this.kubeconfig, NAMESPACE: namespace },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exit = new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? -1)));
    const [out, err, status] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
    return { status, out, err };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.hasExited || process.end()));
    await this.api.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

export async function allocate(url: string, body: unknown): Promise<Reply> {
  const response = await fetch(`${url}/gameserverallocation`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(60_000),
  });
  return { status: response.status, body: (await response.json()) as Reply['body'] };
}

export function withSession(id: string, more: object = {}): object {
  return { namespace, metadata: { annotations: { 'spotable.dev/session-id': id } }, ...more };
}
