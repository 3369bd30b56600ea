import { systemClock } from '../../shared/clock.ts';
import { type BenchCluster, barePod, deployment, namespace } from './bench-cluster.ts';
import type { FleetProcess, Reply } from './fleet-process.ts';
import { inBatches } from './hollow-nodes.ts';

const podsPath = `/api/v1/namespaces/${namespace}/pods`;
const bareSelector = [{ matchLabels: { game: 'bare' } }];

export interface SpeedFigures {
  readonly patches_per_s: number;
  readonly allocations_per_s: number;
  readonly allocations_with_id_per_s: number;
  readonly allocations: number;
}

/** As many bare game servers as asked for, spread over the nodes; the first ones are there already. */
export async function addBarePods(
  cluster: BenchCluster,
  nodes: readonly string[],
  count: number,
  first = 0,
): Promise<void> {
  const names = Array.from({ length: count - first }, (_, index) => `bare-${first + index}`);
  await inBatches(names, 30, (name) =>
    cluster.create(podsPath, barePod(name, nodes[Number(name.slice(5)) % nodes.length] ?? '')),
  );
  await cluster.until(
    `${count} bare game servers are ready`,
    async () => {
      const found = await cluster.list(`${podsPath}?labelSelector=game%3Dbare`);
      return found.length === count && found.every(({ status }) => status?.phase === 'Running');
    },
    600_000,
  );
}

/** Takes their sessions away again. */
export async function freeBarePods(cluster: BenchCluster, names: readonly string[]): Promise<void> {
  const metadata = {
    labels: { 'spotable.dev/allocation': 'unallocated' },
    annotations: { 'spotable.dev/session-id': null },
  };
  await inBatches(names, 30, (name) => cluster.patch(`${podsPath}/${name}`, { metadata }));
}

/** The API server's own ceiling for one PATCH of a pod, and what one replica makes of it, with as many at a time. */
export async function measureSpeed(
  cluster: BenchCluster,
  fleet: FleetProcess,
  count: number,
  atATime: number,
): Promise<SpeedFigures> {
  const names = Array.from({ length: count }, (_, index) => `bare-${index}`);
  const patching = await perSecond(names, atATime, (name) =>
    cluster.patch(`${podsPath}/${name}`, { metadata: { annotations: { bench: 'patched', padding: 'x'.repeat(200) } } }),
  );
  const allocate = async (withId: boolean) => {
    const given: string[] = [];
    const rate = await perSecond(names, atATime, async (name) => {
      const metadata = { annotations: withId ? { 'spotable.dev/session-id': `speed-${name}` } : {} };
      const reply = await fleet.allocate({ gameServerSelectors: bareSelector, metadata });
      if (reply?.status === 200) given.push(reply.body.gameServerName ?? '');
    });
    if (new Set(given).size !== given.length) throw new Error('A game server was given twice');
    await freeBarePods(cluster, given);
    await systemClock.sleep(2000);
    return { rate: rate * (given.length / names.length), given: given.length };
  };
  const plain = await allocate(false);
  const withIds = await allocate(true);
  return {
    patches_per_s: Math.round(patching),
    allocations_per_s: Math.round(plain.rate),
    allocations_with_id_per_s: Math.round(withIds.rate),
    allocations: plain.given,
  };
}

async function perSecond<T>(items: readonly T[], atATime: number, act: (item: T) => Promise<unknown>): Promise<number> {
  const waiting = [...items];
  const startMs = performance.now();
  const worker = async () => {
    for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) await act(item);
  };
  await Promise.all(Array.from({ length: atATime }, worker));
  return (items.length / (performance.now() - startMs)) * 1000;
}

export interface LatencyFigures {
  readonly asked: number;
  readonly given: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly patch_median_ms: number;
  readonly p99_over_patch_median: number;
}

/**
 * 20 allocations a second while the fleet is rolled out again and again; beside them one PATCH a second of a bare pod.
 */
export async function measureLatency(
  cluster: BenchCluster,
  fleet: FleetProcess,
  seconds: number,
): Promise<LatencyFigures> {
  const deployments = `/apis/apps/v1/namespaces/${namespace}/deployments`;
  const warm = 40;
  await cluster.create(deployments, deployment('latency', warm));
  const isWarm = async () => (await cluster.list(deployments)).some(({ status }) => status?.['readyReplicas'] === warm);
  await cluster.until('the fleet is warm', isWarm);
  const over = new AbortController();
  const rolling = (async () => {
    for (let build = 0; !over.signal.aborted; build++) {
      const template = { metadata: { annotations: { build: `latency-${build}` } } };
      await cluster.patch(`${deployments}/latency`, { spec: { template } });
      await systemClock.sleep(3000, over.signal).catch(() => {});
    }
  })();
  const took: number[] = [];
  const patches: number[] = [];
  const answers: Promise<void>[] = [];
  const selector = [{ matchLabels: { 'spotable.dev/fleet': 'latency' } }];
  const timed = async (into: number[], act: () => Promise<Reply | number | undefined>) => {
    const startMs = performance.now();
    const result = await act();
    const isGood = typeof result === 'number' ? result === 200 : result?.status === 200;
    if (isGood) into.push(performance.now() - startMs);
  };
  for (let tick = 0; tick < seconds * 20; tick++) {
    answers.push(timed(took, () => fleet.allocate({ gameServerSelectors: selector })));
    if (tick % 4 === 0)
      answers.push(
        timed(patches, () =>
          cluster.patch(`${podsPath}/bare-${tick % 50}`, { metadata: { annotations: { bench: `${tick}` } } }),
        ),
      );
    if (tick % 20 === 19) void endSessions(cluster);
    await systemClock.sleep(50);
  }
  await Promise.all(answers);
  over.abort();
  await rolling;
  await cluster.remove(`${deployments}/latency`);
  await cluster.remove(`${podsPath}?labelSelector=spotable.dev%2Ffleet%3Dlatency`, { gracePeriodSeconds: 0 });
  const median = percentile(patches, 0.5);
  return {
    asked: seconds * 20,
    given: took.length,
    p50_ms: Math.round(percentile(took, 0.5)),
    p99_ms: Math.round(percentile(took, 0.99)),
    patch_median_ms: Math.round(median),
    p99_over_patch_median: Math.round((percentile(took, 0.99) / median) * 10) / 10,
  };
}

/** Matches of a second: the pods would pile up. */
async function endSessions(cluster: BenchCluster): Promise<void> {
  const selector = 'spotable.dev%2Ffleet%3Dlatency%2Cspotable.dev%2Fallocation%3Dallocated';
  await cluster.remove(`${podsPath}?labelSelector=${selector}`, { gracePeriodSeconds: 0 }).catch(() => {});
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
