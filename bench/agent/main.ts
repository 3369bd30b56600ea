import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bundle as bundleProgram } from '../../build/bundle.ts';
import { ClusterScene } from '../../test/integration/agent/scene/cluster-scene.ts';
import { eventually } from '../../test/integration/agent/scene/eventually.ts';
import { kubectlDrain } from './kubectl-drain.ts';
import { podSurroundings } from './pod-surroundings.ts';
import { cpuSeconds, peakRssMib, rssMib } from './process-costs.ts';
import { soak } from './soak.ts';

// `npm run bench -- agent [--idle SECONDS] [--play SECONDS]`: a drain of 30 and of 110 game servers by the agent, as it
// is shipped, and by a re-creation of kubectl drain's calls, against an API server that responds in 5 ms. Then the cost
// of an idle agent. `npm run bench -- agent soak [--polls N]`: whether the agent's memory grows.

interface Figures {
  readonly pods: number;
  readonly firstToldMs: number;
  readonly lastToldMs: number;
  readonly lastEvictionMs: number;
  readonly calls: number;
  readonly eventCalls: number;
  readonly peakRssMib: number;
  readonly cpuSeconds: number;
  readonly peerLastEvictionMs: number;
  readonly peerCalls: number;
  readonly isSameEnd: boolean;
}

/** As in the image. */
const imageEnvironment = { MALLOC_TRIM_THRESHOLD_: '131072', MALLOC_TOP_PAD_: '0' };
const imageFlags: readonly string[] = ['--max-semi-space-size=1'];
const apiLatencyMs = 5;
const idleSeconds = numberOf('--idle', 60);
/** Time for which a game goes on after it is told: players finish their round. */
const playSeconds = numberOf('--play', 100);
const noticeMs = (playSeconds + 60) * 1000;

const soakPolls = numberOf('--polls', 20_000);

const directory = await mkdtemp(join(import.meta.dirname, '..', '..', 'node_modules', '.bench-agent-'));
// An orderly end lets the agents be stopped too.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
const bundle = await bundleAgent();
if (process.argv[2] === 'soak') await soak(soakPolls, [...imageFlags, bundle], imageEnvironment);
else await drainsAndIdle(bundle);

async function drainsAndIdle(bundle: string): Promise<void> {
  const ours = [await drainByAgent(30, bundle), await drainByAgent(110, bundle)];
  // kubectl mostly waits, for its own rate limit and for the games, so two runs at once do not disturb each other.
  const peers = await Promise.all([drainByKubectl(30), drainByKubectl(110)]);
  const idle = await idleCosts(bundle);
  print(
    ours.map(({ left, ...figures }, index) => {
      const { left: peerLeft = -1, peerCalls = 0, peerLastEvictionMs = 0 } = peers[index] ?? {};
      return { ...figures, peerCalls, peerLastEvictionMs, isSameEnd: left === peerLeft };
    }),
    idle,
  );
}

/** Bundles the agent as it is shipped. */
async function bundleAgent(): Promise<string> {
  await bundleProgram('agent', directory);
  return join(directory, 'agent.cjs');
}

async function scene(pods: number): Promise<ClusterScene> {
  const made = await ClusterScene.start({
    api: { latencyMs: ({ path }) => (path.includes('watch=') ? 0 : apiLatencyMs) },
  });
  for (let index = 0; index < pods; index++)
    made.addPod(`gs-${index}`, { graceSeconds: 120, stopMs: playSeconds * 1000 });
  for (let index = 0; index < 8; index++) made.addPod(`daemon-${index}`, { owner: 'DaemonSet', isGameServer: false });
  return made;
}

async function drainByAgent(pods: number, bundle: string) {
  await using cluster = await scene(pods);
  await using pod = await podSurroundings(cluster);
  const paper = cluster.pods.filter(({ metadata }) => metadata.name.startsWith('gs-'));
  const env = { POLL_INTERVAL: '1s', LINK_TRUST: 'pod', ...imageEnvironment, ...pod.env };
  const agent = await cluster.startReadyAgent(env, [...imageFlags, bundle]);
  for (const { metadata } of paper) cluster.addWrapper({ namespace: 'arena', name: metadata.name, uid: metadata.uid });
  await Promise.all(cluster.wrappers.map((wrapper) => wrapper.hears('welcome')));
  const before = cluster.api.requests.length;
  const cpuBefore = cpuSeconds(agent.pid);
  cluster.announceSpot(noticeMs);
  const seenMs = (await agent.says('Interruption noticed')).time;
  await Promise.all(cluster.wrappers.map((wrapper) => wrapper.hears('interruption')));
  const toldMs = cluster.wrappers.map(
    ({ heard }) => (heard.find(({ message }) => message.type === 'interruption')?.atMs ?? 0) - seenMs,
  );
  await eventually('all are asked to go', () => agent.said('Pod termination requested').length === pods, 60_000);
  const lastEvictionMs = Math.max(...agent.said('Pod termination requested').map(({ time }) => time)) - seenMs;
  await agent.says('Node drained', undefined, noticeMs);
  await agent.says('Interruption report');
  await sleep(1000);
  const made = cluster.api.requests.slice(before);
  const eventCalls = made.filter(({ method, path }) => method === 'POST' && path.endsWith('/events')).length;
  return {
    pods,
    firstToldMs: Math.max(0, Math.min(...toldMs)),
    lastToldMs: Math.max(...toldMs),
    lastEvictionMs,
    calls: made.length - eventCalls,
    eventCalls,
    peakRssMib: peakRssMib(agent.pid),
    cpuSeconds: cpuSeconds(agent.pid) - cpuBefore,
    left: cluster.pods.length,
  };
}

async function drainByKubectl(pods: number) {
  await using cluster = await scene(pods);
  const startMs = Date.now();
  const signal = AbortSignal.timeout(noticeMs);
  const { calls, lastEvictionMs } = await kubectlDrain({ server: cluster.api.url, node: cluster.nodeName, signal });
  return {
    peerCalls: calls,
    peerLastEvictionMs: (lastEvictionMs ?? Number.NaN) - startMs,
    left: cluster.pods.length,
  };
}

async function idleCosts(bundle: string): Promise<{ cpuPercent: number; rssMib: number }> {
  await using cluster = await scene(110);
  await using pod = await podSurroundings(cluster);
  const env = { POLL_INTERVAL: '1s', LINK_TRUST: 'pod', ...imageEnvironment, ...pod.env };
  const agent = await cluster.startReadyAgent(env, [...imageFlags, bundle]);
  for (const { metadata } of cluster.pods)
    cluster.addWrapper({ namespace: 'arena', name: metadata.name, uid: metadata.uid });
  // After the agent has released the memory of its start.
  await sleep(20_000);
  const before = cpuSeconds(agent.pid);
  await sleep(idleSeconds * 1000);
  return { cpuPercent: ((cpuSeconds(agent.pid) - before) / idleSeconds) * 100, rssMib: rssMib(agent.pid) };
}

function print(rows: readonly Figures[], idle: { cpuPercent: number; rssMib: number }): void {
  const columns: readonly (readonly [string, (row: Figures) => string])[] = [
    ['pods', ({ pods }) => String(pods)],
    ['first told', ({ firstToldMs }) => `${firstToldMs} ms`],
    ['last told', ({ lastToldMs }) => `${lastToldMs} ms`],
    ['last eviction', ({ lastEvictionMs }) => `${lastEvictionMs} ms`],
    ['  of kubectl', ({ peerLastEvictionMs }) => `${peerLastEvictionMs} ms`],
    ['API calls', ({ calls }) => String(calls)],
    ['  of kubectl', ({ peerCalls }) => String(peerCalls)],
    ['events written', ({ eventCalls }) => String(eventCalls)],
    ['CPU', ({ cpuSeconds: seconds }) => `${seconds.toFixed(2)} s`],
    ['peak RSS', ({ peakRssMib: mib }) => `${mib.toFixed(0)} MiB`],
    ['same end', ({ isSameEnd }) => (isSameEnd ? 'yes' : 'no')],
  ];
  console.log(
    `A drain, games play on for ${playSeconds} s; an API server that answers in ${apiLatencyMs} ms; 8 DaemonSet pods stay`,
  );
  for (const [name, cell] of columns)
    console.log(`${name.padEnd(16)}${rows.map((row) => cell(row).padStart(12)).join('')}`);
  console.log('API calls are those of the drain; Kubernetes events, which kubectl does not write, are counted apart');
  console.log(
    `Idle over ${idleSeconds} s, 110 pods and wrappers: ${idle.cpuPercent.toFixed(2)} % of a core, ${idle.rssMib.toFixed(0)} MiB RSS`,
  );
  const [, large] = rows;
  if (large === undefined) throw new Error('No figures');
  console.log(
    JSON.stringify({
      bench: 'agent',
      pods: large.pods,
      first_told_ms: large.firstToldMs,
      last_told_ms: large.lastToldMs,
      last_eviction_ms: large.lastEvictionMs,
      last_eviction_ratio: round(large.peerLastEvictionMs / large.lastEvictionMs),
      api_calls: large.calls,
      event_calls: large.eventCalls,
      peer_api_calls: large.peerCalls,
      api_calls_ratio: round(large.peerCalls / large.calls),
      same_end_state: large.isSameEnd,
      peak_rss_mib: round(large.peakRssMib),
      idle_cpu_percent: round(idle.cpuPercent),
      idle_rss_mib: round(idle.rssMib),
    }),
  );
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function numberOf(flag: string, fallback: number): number {
  const index = process.argv.indexOf(flag);
  const value = index < 0 ? fallback : Number(process.argv[index + 1]);
  if (!Number.isInteger(value) || value < 1) throw new Error(`Invalid ${flag}: expected a whole number above 0`);
  return value;
}
