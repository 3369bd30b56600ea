import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { kubeconfigOf } from '../../../../sandbox/kubernetes/kubeconfig.ts';
import { type FaultProxy, startFaultProxy } from '../../../support/fault-proxy.ts';
import { testCertificates } from '../../../support/test-certificates.ts';
import type { AgentProcess } from './agent-process.ts';
import { ClusterScene } from './cluster-scene.ts';
import { eventually } from './eventually.ts';

export interface NetworkScene extends AsyncDisposable {
  readonly scene: ClusterScene;
  /** Between the agent and its API server: TLS that offers HTTP/2, as a real one does. */
  readonly proxy: FaultProxy;
  readonly agent: AgentProcess;
  readonly podNames: readonly string[];
}

const podCount = 9;

/** A node with pods, and an agent that has seen all of them. */
export async function startNetworkScene(): Promise<NetworkScene> {
  const scene = await ClusterScene.start();
  const proxy = await startFaultProxy({ target: new URL(scene.api.url), offersHttp2: true });
  const directory = await mkdtemp(join(tmpdir(), 'network-scene-'));
  const kubeconfig = join(directory, 'kubeconfig');
  await writeFile(kubeconfig, kubeconfigOf(proxy.url, { ca: testCertificates.first.cert }));
  const podNames = Array.from({ length: podCount }, (_, index) => `gs-${index}`);
  for (const name of podNames) scene.addPod(name, { graceSeconds: 5 });
  const agent = await scene.startReadyAgent({ KUBECONFIG: kubeconfig });
  return {
    scene,
    proxy,
    agent,
    podNames,
    async [Symbol.asyncDispose]() {
      await scene[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Requests that the API server has seen since then, `METHOD PATH`. */
export function callsSince({ proxy }: NetworkScene, sinceMs: number, method: string, path: RegExp): readonly string[] {
  return proxy.requests
    .filter((request) => request.atMs >= sinceMs && request.method === method && path.test(request.path))
    .map((request) => `${request.method} ${request.path}`);
}

/** Resident memory in MiB. */
export async function residentMib({ pid }: AgentProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

/**
 * The API server is cut off, the notice comes, and the network returns so long afterwards: the agent must be back at
 * once, with what it wants then and with nothing of the time in between.
 */
export async function surviveOutage(network: NetworkScene, outageMs: number): Promise<void> {
  const { scene, proxy, agent, podNames } = network;
  proxy.network.silence();
  scene.announceSpot(outageMs + 60_000);
  await agent.says('Interruption noticed');
  // What the agent loads and compiles for its first drain is none of the outage's growth.
  const startMs = performance.now();
  let [beforeMib, maxMib] = [0, 0];
  for (let ms = 0; ms < outageMs; ms = performance.now() - startMs) {
    const mib = await residentMib(agent);
    if (ms < outageMs / 4) beforeMib = Math.max(beforeMib, mib);
    maxMib = Math.max(maxMib, mib);
    await sleep(250);
  }
  const backMs = Date.now();
  proxy.network.restore();
  const first = await eventually('a call after the return', () => proxy.requests.find(({ atMs }) => atMs >= backMs));
  // A second on an idle machine; over HTTP/2 it were 22 to 46.
  assert.ok(first.atMs - backMs <= 5000, `first call after ${first.atMs - backMs} ms`);
  await eventually('every pod has gone', () => scene.pods.length === 0);
  assert.ok(maxMib - beforeMib <= 20, `from ${beforeMib.toFixed(1)} to ${maxMib.toFixed(1)} MiB`);
  // What is given up never arrives (test/integration/shared/kube-connection.test.ts). A call that a busy machine
  // answers late is made twice.
  const evictions = callsSince(network, backMs, 'POST', /\/eviction$/);
  const paths = podNames.map((name) => `POST /api/v1/namespaces/arena/pods/${name}/eviction`);
  assert.deepEqual([...new Set(evictions)].toSorted(), paths.toSorted());
  assert.ok(evictions.length <= 2 * paths.length, evictions.join('\n'));
  assert.deepEqual(callsSince(network, backMs, 'DELETE', /./), []);
  assert.ok(scene.isCordoned);
}
