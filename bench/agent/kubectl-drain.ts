import { setTimeout as sleep } from 'node:timers/promises';

export interface KubectlDrainOptions {
  readonly server: string;
  readonly node: string;
  readonly signal: AbortSignal;
}

export interface KubectlDrainOutcome {
  readonly calls: number;
  /** Epoch milliseconds; undefined: no eviction was accepted. */
  readonly lastEvictionMs: number | undefined;
  readonly lastSigtermMs: number | undefined;
}

interface ListedPod {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly {
      readonly kind: string;
      readonly name: string;
      readonly controller?: boolean;
    }[];
  };
}

// client-go's defaults, which kubectl and programs built on its drain package use.
const callsPerSecond = 5;
const burst = 10;
/** kubectl's pause after a budget has refused an eviction. */
const refusedPauseMs = 5000;
/** Interval at which each evicted pod is checked until it is gone. */
const waitPollMs = 1000;

/**
 * The calls of `kubectl drain` in their order: read and cordon the node, list its pods, get each DaemonSet, then evict
 * all pods at once and check each every second until it is gone; retry every five seconds after a budget's refusal.
 * Nothing escalates.
 */
export async function kubectlDrain({ server, node, signal }: KubectlDrainOptions): Promise<KubectlDrainOutcome> {
  const client = new ThrottledClient(server, signal);
  let lastEvictionMs: number | undefined;
  await client.call('GET', `/api/v1/nodes/${node}`);
  await client.call('PATCH', `/api/v1/nodes/${node}`, { spec: { unschedulable: true } });
  const listed = await client.call(
    'GET',
    `/api/v1/pods?fieldSelector=${encodeURIComponent(`spec.nodeName=${node}`)}&limit=500`,
  );
  const { items } = listed.body as { items: readonly ListedPod[] };
  const movable: ListedPod[] = [];
  for (const pod of items) {
    const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true);
    if (owner?.kind === 'DaemonSet')
      await client.call('GET', `/apis/apps/v1/namespaces/${pod.metadata.namespace}/daemonsets/${owner.name}`);
    else if (pod.metadata.annotations?.['kubernetes.io/config.mirror'] === undefined) movable.push(pod);
  }
  await Promise.all(
    movable.map(async ({ metadata: { namespace, name, uid } }) => {
      const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
      const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { namespace, name } };
      while (!signal.aborted) {
        const { status } = await client.call('POST', `${path}/eviction`, body);
        if (status === 201) lastEvictionMs = Date.now();
        if (status !== 429) break;
        await sleep(refusedPauseMs, undefined, { signal }).catch(() => {});
      }
      while (!signal.aborted) {
        const { status, body: found } = await client.call('GET', path);
        if (status === 404 || (found as ListedPod).metadata?.uid !== uid) return;
        await sleep(waitPollMs, undefined, { signal }).catch(() => {});
      }
    }),
  );
  return { calls: client.calls, lastEvictionMs, lastSigtermMs: lastEvictionMs };
}

/** A client with client-go's token bucket. */
class ThrottledClient {
  readonly #server: string;
  readonly #signal: AbortSignal;
  #tokens = burst;
  #refilledMs = performance.now();
  #turn: Promise<void> = Promise.resolve();
  calls = 0;

  constructor(server: string, signal: AbortSignal) {
    this.#server = server;
    this.#signal = signal;
  }

  async call(
    method: string,
    path: string,
    body?: object,
  ): Promise<{ readonly status: number; readonly body: unknown }> {
    this.#turn = this.#turn.then(() => this.#takeToken());
    await this.#turn;
    if (this.#signal.aborted) return { status: 0, body: {} };
    this.calls++;
    try {
      const response = await fetch(`${this.#server}${path}`, {
        method,
        headers: { 'content-type': method === 'PATCH' ? 'application/strategic-merge-patch+json' : 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: this.#signal,
      });
      return { status: response.status, body: await response.json() };
    } catch (error) {
      if (this.#signal.aborted) return { status: 0, body: {} };
      throw error;
    }
  }

  async #takeToken(): Promise<void> {
    const nowMs = performance.now();
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#refilledMs) / 1000) * callsPerSecond);
    this.#refilledMs = nowMs;
    if (this.#tokens < 1) {
      await sleep(((1 - this.#tokens) / callsPerSecond) * 1000, undefined, { signal: this.#signal }).catch(() => {});
      this.#tokens = 1;
      this.#refilledMs = performance.now();
    }
    this.#tokens--;
  }
}
