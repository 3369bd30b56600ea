import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterScene } from '../../test/integration/agent/scene/cluster-scene.ts';
import { podSurroundings } from './pod-surroundings.ts';
import { cpuSeconds, rssMib } from './process-costs.ts';

// `npm run bench -- agent soak [--polls N]`: whether an agent that polls for notices grows. It polls ten times as often
// as by default, with 110 pods on its node, and its memory is measured ten times on the way.

const samples = 10;
/** By then the memory of the start is released. */
const settleMs = 20_000;

interface Sample {
  readonly polls: number;
  readonly rssMib: number;
}

export async function soak(
  polls: number,
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<void> {
  await using cluster = await ClusterScene.start();
  for (let index = 0; index < 110; index++) cluster.addPod(`gs-${index}`);
  await using pod = await podSurroundings(cluster);
  const polled = new PollCounter(cluster);
  const agent = await cluster.startReadyAgent(
    { POLL_INTERVAL: '100ms', LINK_TRUST: 'pod', ...env, ...pod.env },
    command,
  );
  await sleep(settleMs);
  const first = polled.count();
  const taken: Sample[] = [{ polls: 0, rssMib: rssMib(agent.pid) }];
  console.log('   polls  RSS MiB');
  printSample(taken[0]);
  const cpuBefore = cpuSeconds(agent.pid);
  for (let index = 1; index <= samples; index++) {
    while (polled.count() - first < (polls * index) / samples) await sleep(1000);
    taken.push({ polls: polled.count() - first, rssMib: rssMib(agent.pid) });
    printSample(taken.at(-1));
  }
  const cpuMs = ((cpuSeconds(agent.pid) - cpuBefore) * 1000) / polls;
  const half = (from: number, to: number) => {
    const part = taken.slice(from, to).map(({ rssMib: mib }) => mib);
    return part.reduce((sum, mib) => sum + mib, 0) / part.length;
  };
  const middle = Math.ceil(taken.length / 2);
  console.log(
    JSON.stringify({
      bench: 'agent-soak',
      polls,
      rss_mib_first_half: Number(half(0, middle).toFixed(1)),
      rss_mib_second_half: Number(half(middle, taken.length).toFixed(1)),
      growth_ratio: Number((half(middle, taken.length) / half(0, middle)).toFixed(3)),
      cpu_ms_per_poll: Number(cpuMs.toFixed(2)),
    }),
  );
}

/** The service keeps only its last requests, so they are counted as they arrive. */
class PollCounter {
  readonly #cluster: ClusterScene;
  #count = 0;
  #lastMs = 0;

  constructor(cluster: ClusterScene) {
    this.#cluster = cluster;
  }

  count(): number {
    const sinceMs = this.#lastMs;
    const { requests } = this.#cluster.metadata;
    this.#count += requests.filter(({ path, atMs }) => atMs > sinceMs && path.endsWith('/spot/instance-action')).length;
    this.#lastMs = requests.at(-1)?.atMs ?? 0;
    return this.#count;
  }
}

function printSample(sample: Sample | undefined): void {
  if (sample !== undefined) console.log(`${String(sample.polls).padStart(8)} ${sample.rssMib.toFixed(1).padStart(8)}`);
}
