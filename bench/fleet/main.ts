import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundle } from '../../build/bundle.ts';
import { BenchCluster } from './bench-cluster.ts';
import { measureDoubles } from './doubles.ts';
import { FleetProcess } from './fleet-process.ts';
import { HollowNodes } from './hollow-nodes.ts';
import { measureRollouts } from './rollouts.ts';
import { addBarePods, measureLatency, measureSpeed } from './speed.ts';

// Fleets on a real control plane whose nodes are hollow: npm run bench -- fleet [--only PART,..]
const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'rollouts,speed,latency,doubles,memory' },
    rollouts: { type: 'string', default: '200' },
    allocations: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '60' },
    pods: { type: 'string', default: '5000' },
    nodes: { type: 'string', default: '300' },
  },
});
const parts = new Set(values.only.split(','));
const show = (what: string, figures: object) => {
  const text = Object.entries(figures).map(([name, value]) => `${name} ${String(value)}`);
  console.log(`${what.padEnd(20)}${text.join(', ')}`);
};
const figures: Record<string, unknown> = { cores: availableParallelism(), load: Math.round(loadavg()[0] ?? 0) };
const folder = await mkdtemp(join(tmpdir(), 'bench-fleet-'));
try {
  await bundle('fleet', folder);
  await run(join(folder, 'fleet.cjs'));
} finally {
  await rm(folder, { recursive: true });
}
console.log(JSON.stringify(figures));

async function run(program: string): Promise<void> {
  await using cluster = await BenchCluster.start();
  const isLarge = parts.has('memory');
  const nodes = new HollowNodes(cluster, isLarge ? Number(values.nodes) : 6);
  await nodes.run(cluster.signal);
  if (parts.has('rollouts')) await runRollouts(cluster);
  else await cluster.installPolicy();
  if (!['speed', 'latency', 'doubles', 'memory'].some((part) => parts.has(part))) return;
  const few = 600;
  await addBarePods(cluster, nodes.names.slice(0, 6), few);
  await using one = await FleetProcess.start(program, 'fleet-one', cluster.plane.kubeconfig);
  if (parts.has('speed')) {
    const speed = await measureSpeed(cluster, one, few, 24);
    show('speed', speed);
    Object.assign(figures, speed);
  }
  if (parts.has('latency')) {
    const latency = await measureLatency(cluster, one, Number(values.seconds));
    show('latency', latency);
    Object.assign(figures, latency);
  }
  if (parts.has('doubles')) {
    await using other = await FleetProcess.start(program, 'fleet-other', cluster.plane.kubeconfig);
    const doubles = await measureDoubles(cluster, [one, other], nodes.names.slice(0, 3), Number(values.allocations));
    show('two replicas', doubles);
    Object.assign(figures, doubles);
  }
  if (isLarge) {
    await addBarePods(cluster, nodes.names, Number(values.pods), few);
    await using large = await FleetProcess.start(program, 'fleet-large', cluster.plane.kubeconfig);
    for (let count = 0; count < 200; count++)
      await large.allocate({ gameServerSelectors: [{ matchLabels: { game: 'bare' } }] });
    const { now, max } = large.memory;
    Object.assign(figures, { rss_mib: Math.round(now), rss_max_mib: Math.round(max), pods: Number(values.pods) });
    show('memory', { rss_mib: Math.round(now), rss_max_mib: Math.round(max), pods: values.pods, nodes: values.nodes });
  }
}

async function runRollouts(cluster: BenchCluster): Promise<void> {
  const common = { rollouts: Number(values.rollouts), allocators: 3, warm: 12 };
  const without = await measureRollouts(cluster, { ...common, waits: false });
  show('without the policy', without);
  const waiting = await measureRollouts(cluster, { ...common, rollouts: Math.ceil(common.rollouts / 4), waits: true });
  show('waiting instead', waiting);
  await cluster.installPolicy();
  const withPolicy = await measureRollouts(cluster, { ...common, waits: false });
  show('with the policy', withPolicy);
  Object.assign(figures, {
    rollouts: withPolicy.rollouts,
    sessions: withPolicy.sessions,
    sessions_lost: withPolicy.sessions_lost,
    sessions_lost_without_policy: without.sessions_lost,
    sessions_lost_waiting: waiting.sessions_lost,
  });
}
