import { systemClock } from '../../shared/clock.ts';
import { FollowedList } from '../../shared/kubernetes/follow-list.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import { silentLog } from '../../shared/log.ts';
import type { BenchCluster, KubeObject } from './bench-cluster.ts';

/** Nodes without machines: what is bound to them is said to run, and what is to be deleted is gone. */
export class HollowNodes {
  readonly #cluster: BenchCluster;
  readonly #connection: KubeConnection;
  readonly #started = new Set<string>();
  readonly #ended = new Set<string>();
  readonly names: readonly string[];

  constructor(cluster: BenchCluster, count: number) {
    this.#cluster = cluster;
    this.#connection = cluster.connect();
    this.names = Array.from({ length: count }, (_, index) => `n-${index + 1}`);
  }

  /** Registers the nodes and goes on until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await inBatches(this.names, 20, (name) => this.#register(name));
    const pods = new FollowedList<KubeObject>({
      connection: this.#connection,
      path: '/api/v1/pods?fieldSelector=spec.nodeName!%3D',
      read: (object) => this.#look(object as KubeObject, signal),
      onItems: () => {},
      clock: systemClock,
      log: silentLog,
    });
    void this.#heartbeat(signal);
    void pods.run(signal).finally(() => this.#connection.close());
  }

  async #register(name: string): Promise<void> {
    const resources = { cpu: '1000', memory: '1000Gi', pods: '10000' };
    await this.#cluster.create('/api/v1/nodes', { metadata: { name } });
    await this.#cluster.patch(
      `/api/v1/nodes/${name}/status`,
      {
        status: {
          capacity: resources,
          allocatable: resources,
          conditions: [{ type: 'Ready', status: 'True', reason: 'Hollow', message: '' }],
          addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
        },
      },
      'strategic-merge',
    );
    // A new node bears a taint until the node controller has looked at it.
    await this.#cluster.patch(`/api/v1/nodes/${name}`, { spec: { taints: null } });
    await this.#cluster.create('/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases', {
      metadata: { name },
      spec: { holderIdentity: name, leaseDurationSeconds: 40, renewTime: now() },
    });
  }

  async #heartbeat(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await systemClock.sleep(10_000, signal).catch(() => {});
      await inBatches(this.names, 8, async (name) => {
        const path = `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${name}`;
        await this.#cluster.patch(path, { spec: { renewTime: now() } });
      }).catch(() => {});
    }
  }

  #look(pod: KubeObject, signal: AbortSignal): KubeObject | undefined {
    const { uid, deletionTimestamp } = pod.metadata;
    if (deletionTimestamp !== undefined && !this.#ended.has(uid)) {
      this.#ended.add(uid);
      void this.#end(pod, signal).catch(() => {});
    } else if (deletionTimestamp === undefined && !this.#started.has(uid)) {
      this.#started.add(uid);
      void this.#begin(pod, signal).catch(() => {});
    }
    // Nothing of it is kept.
    return undefined;
  }

  async #begin(pod: KubeObject, signal: AbortSignal): Promise<void> {
    const types = ['Ready', 'ContainersReady', 'Initialized', 'PodScheduled', 'spotable.dev/ready'];
    await this.#connection.request({
      method: 'PATCH',
      path: `${podPath(pod)}/status`,
      contentType: 'application/strategic-merge-patch+json',
      body: {
        metadata: { uid: pod.metadata.uid },
        status: {
          phase: 'Running',
          hostIP: '10.0.0.1',
          conditions: types.map((type) => ({ type, status: 'True' })),
          containerStatuses: [
            { name: 'game', restartCount: 0, ready: true, image: 'game:1', imageID: '', state: { running: {} } },
          ],
        },
      },
      signal,
      timeoutMs: 60_000,
    });
  }

  async #end(pod: KubeObject, signal: AbortSignal): Promise<void> {
    await this.#connection.request({
      method: 'DELETE',
      path: podPath(pod),
      body: { gracePeriodSeconds: 0, preconditions: { uid: pod.metadata.uid } },
      signal,
      timeoutMs: 60_000,
    });
  }
}

function podPath({ metadata }: KubeObject): string {
  const { namespace, name } = metadata as KubeObject['metadata'] & { namespace: string };
  return `/api/v1/namespaces/${namespace}/pods/${name}`;
}

function now(): string {
  return new Date().toISOString().replace('Z', '000Z');
}

export async function inBatches<T>(
  items: readonly T[],
  size: number,
  act: (item: T) => Promise<unknown>,
): Promise<void> {
  for (let at = 0; at < items.length; at += size) await Promise.all(items.slice(at, at + size).map(act));
}
