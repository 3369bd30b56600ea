import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import type { Authorization, KubeCredentials } from '../../shared/kubernetes/kube-credentials.ts';
import { provideBinary } from '../../test/control-plane/binary.ts';
import { type ControlPlane, startControlPlane } from '../../test/control-plane/control-plane.ts';

export const namespace = 'arena';
const root = join(import.meta.dirname, '..', '..');

export interface KubeObject {
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
    readonly ownerReferences?: readonly object[];
  };
  readonly spec?: { readonly nodeName?: string; readonly replicas?: number };
  readonly status?: Readonly<Record<string, unknown>> & { readonly phase?: string };
}

/** An administrator's calls to the control plane of a benchmark. */
export class BenchCluster implements AsyncDisposable {
  readonly plane: ControlPlane;
  readonly connection: KubeConnection;
  readonly signal: AbortSignal;
  readonly #end = new AbortController();

  constructor(plane: ControlPlane) {
    this.plane = plane;
    this.connection = this.connect();
    this.signal = this.#end.signal;
  }

  /** A connection of its own: each has a limit of calls at a time. */
  connect(): KubeConnection {
    return new KubeConnection(new TokenCredentials(this.plane));
  }

  /** Rejects where there is no control plane to be had. */
  static async start(): Promise<BenchCluster> {
    const binary = await provideBinary((line) => process.stderr.write(`control-plane: ${line}\n`));
    if (binary.kind === 'unavailable') throw new Error(binary.reason);
    // The controllers' own limit of 20 calls a second would hide every race; large clusters raise it, too.
    const flags = ['--kube-api-qps=500', '--kube-api-burst=1000'];
    const cluster = new BenchCluster(await startControlPlane({ binary: binary.path, controllerManagerFlags: flags }));
    await cluster.create('/api/v1/namespaces', { metadata: { name: namespace } });
    await cluster.until('the namespace has its service account', async () => {
      const { status } = await cluster.get(`/api/v1/namespaces/${namespace}/serviceaccounts/default`);
      return status === 200;
    });
    return cluster;
  }

  get(path: string): Promise<{ readonly status: number; readonly body: unknown }> {
    return this.connection.request({ method: 'GET', path, signal: this.signal, timeoutMs: 30_000 });
  }

  async list(path: string): Promise<readonly KubeObject[]> {
    const { body } = await this.get(path);
    return (Object(body) as { items?: readonly KubeObject[] }).items ?? [];
  }

  async create(path: string, body: object): Promise<void> {
    const { status, body: answer } = await this.connection.request({
      method: 'POST',
      path,
      body,
      signal: this.signal,
      timeoutMs: 30_000,
    });
    if (status !== 201) throw new Error(`Cannot create at ${path}: ${status} ${JSON.stringify(answer).slice(0, 300)}`);
  }

  /** The HTTP status: refusals are part of what is measured. */
  async patch(path: string, body: object, kind: 'merge' | 'strategic-merge' = 'merge'): Promise<number> {
    const { status } = await this.connection.request({
      method: 'PATCH',
      path,
      body,
      contentType: `application/${kind}-patch+json`,
      signal: this.signal,
      timeoutMs: 30_000,
    });
    return status;
  }

  async remove(path: string, body: object = {}): Promise<number> {
    const { status } = await this.connection.request({
      method: 'DELETE',
      path,
      body: { apiVersion: 'v1', kind: 'DeleteOptions', ...body },
      signal: this.signal,
      timeoutMs: 30_000,
    });
    return status;
  }

  async until(what: string, look: () => Promise<boolean>, withinMs = 180_000): Promise<void> {
    for (const end = performance.now() + withinMs; performance.now() < end; ) {
      if (await look()) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`Not within ${withinMs} ms: ${what}`);
  }

  /** The policy that keeps sessions safe, as it is shipped. */
  async installPolicy(): Promise<void> {
    const documents = parseAllDocuments(readFileSync(join(root, 'manifests/fleet/policies/sessions.yaml'), 'utf8'));
    for (const document of Array.isArray(documents) ? documents : []) {
      const object = document.toJS() as { kind: string };
      const plural = object.kind === 'ValidatingAdmissionPolicy' ? 'policies' : 'policybindings';
      await this.create(`/apis/admissionregistration.k8s.io/v1/validatingadmission${plural}`, object);
    }
    await this.#untilPolicyWorks();
  }

  async removePolicy(): Promise<void> {
    for (const plural of ['policybindings', 'policies'])
      await this.remove(`/apis/admissionregistration.k8s.io/v1/validatingadmission${plural}/spotable-fleet-sessions`);
  }

  /** The API server compiles a new policy some seconds after it was stored. */
  async #untilPolicyWorks(): Promise<void> {
    const pod = barePod('policy-probe', 'nowhere');
    await this.create(`/api/v1/namespaces/${namespace}/pods`, {
      ...pod,
      metadata: { ...pod.metadata, labels: { 'spotable.dev/allocation': 'allocated' } },
    });
    const controller = new KubeConnection(
      new TokenCredentials(this.plane, 'system:serviceaccount:kube-system:replicaset-controller'),
    );
    const path = `/api/v1/namespaces/${namespace}/pods/policy-probe?dryRun=All`;
    await this.until('the policy refuses', async () => {
      const { status } = await controller.request({ method: 'DELETE', path, signal: this.signal });
      return status === 403;
    });
    await this.remove(`/api/v1/namespaces/${namespace}/pods/policy-probe`, { gracePeriodSeconds: 0 });
    controller.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    this.connection.close();
    await this.plane[Symbol.asyncDispose]();
  }
}

class TokenCredentials implements KubeCredentials {
  readonly server: string;
  readonly #authorization: Authorization;

  constructor({ url, adminToken, authority }: ControlPlane, as?: string) {
    this.server = url;
    const impersonation = as === undefined ? {} : { 'impersonate-user': as };
    this.#authorization = {
      headers: { authorization: `Bearer ${adminToken}`, ...impersonation },
      tls: { ca: authority },
    };
  }

  async authorize(): Promise<Authorization> {
    return this.#authorization;
  }

  async reload(): Promise<boolean> {
    return false;
  }
}

export function fleetLabels(fleet: string): Readonly<Record<string, string>> {
  return { 'spotable.dev/fleet': fleet, 'spotable.dev/allocation': 'unallocated' };
}

const podSpec = {
  terminationGracePeriodSeconds: 1,
  automountServiceAccountToken: false,
  containers: [{ name: 'game', image: 'game:1' }],
};

export function deployment(name: string, replicas: number, build = '1'): object {
  return {
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: fleetLabels(name) },
      revisionHistoryLimit: 2,
      template: {
        metadata: { labels: { ...fleetLabels(name), game: 'arena' }, annotations: { build } },
        spec: { ...podSpec, readinessGates: [{ conditionType: 'spotable.dev/ready' }] },
      },
    },
  };
}

/** A game server that no controller owns. */
export function barePod(
  name: string,
  nodeName: string,
): { readonly metadata: { readonly name: string; readonly labels: object }; readonly spec: object } {
  return { metadata: { name, labels: { ...fleetLabels('bare'), game: 'bare' } }, spec: { ...podSpec, nodeName } };
}
