import { allowedCpus } from './processes.ts';
import type { Programs } from './programs.ts';
import { type BenchProxy, ceiling, nginx, ours, socat } from './proxies.ts';
import { type Layout, type Load, memoryPerSession, type Outcome, runTrial } from './trial.ts';

export interface SpeedOptions {
  readonly rounds: number;
  readonly runMs: number;
}

/** Proxies that run in turn. The first one is the baseline. */
interface Comparison {
  readonly name: string;
  readonly proxies: readonly BenchProxy[];
  readonly replicas: number;
  readonly flows?: number;
  readonly window?: number;
}

interface Results {
  readonly outcomes: readonly Outcome[];
  readonly missing: string | undefined;
}

/** Long enough for the proxy to notice its load and mute the spares, and for its code to be compiled. */
const warmMs = 2200;
/** One datagram per player, so that none can share a GSO batch. */
const manyPlayers = { flows: 2000, window: 1 };
const load = { flows: 64, window: 8, rate: 0, warmMs, playerProcesses: 1 };

function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

async function runComparison(programs: Programs, comparison: Comparison, layout: Layout, options: SpeedOptions) {
  const { proxies, replicas, flows = load.flows, window = load.window } = comparison;
  const results = new Map<string, Outcome[]>(proxies.map(({ name }) => [name, []]));
  for (let round = 0; round < options.rounds; round++)
    for (const proxy of proxies)
      if (proxy.missing === undefined)
        results
          .get(proxy.name)
          ?.push(await runTrial(programs, proxy, layout, { ...load, flows, window, replicas, runMs: options.runMs }));
  return new Map<string, Results>(
    proxies.map(({ name, missing }) => [name, { outcomes: results.get(name) ?? [], missing }]),
  );
}

/** The median over rounds of one proxy's figure divided by the baseline's in the same round. */
function ratio(
  one: Results | undefined,
  other: Results | undefined,
  figure: (outcome: Outcome) => number,
): number | null {
  const ratios = (one?.outcomes ?? []).flatMap((outcome, round) => {
    const base = other?.outcomes[round];
    return base === undefined ? [] : [figure(outcome) / figure(base)];
  });
  return ratios.length === 0 ? null : Math.round(median(ratios) * 1000) / 1000;
}

const perSecond = ({ answersPerSecond }: Outcome) => answersPerSecond;
const perCpu = ({ answersPerCpuSecond }: Outcome) => answersPerCpuSecond;

function print(comparison: Comparison, results: ReadonlyMap<string, Results>): void {
  console.log(`\n${comparison.name}`);
  console.log('  proxy                answers/s   ratio   per cpu-s   ratio     lost');
  const base = results.get(comparison.proxies[0]?.name ?? '');
  for (const { name } of comparison.proxies) {
    const result = results.get(name);
    if (result === undefined || result.outcomes.length === 0) {
      console.log(`  ${name.padEnd(24)} ${result?.missing ?? 'not run'}`);
      continue;
    }
    const of = (figure: (outcome: Outcome) => number) => median(result.outcomes.map(figure));
    const cells = [
      Math.round(of(perSecond)).toLocaleString('en-US').padStart(10),
      String(ratio(result, base, perSecond)).padStart(7),
      Math.round(of(perCpu)).toLocaleString('en-US').padStart(11),
      String(ratio(result, base, perCpu)).padStart(7),
      `${(of(({ lostShare }) => lostShare) * 100).toFixed(3)} %`.padStart(8),
    ];
    console.log(`  ${name.padEnd(24)} ${cells.join(' ')}`);
  }
}

/** Runs all comparisons, prints tables and returns the figures; null, with a reason, for missing parts. */
export async function runSpeed(programs: Programs, options: SpeedOptions): Promise<object> {
  const cpus = allowedCpus();
  if (cpus.length < 4) return { skipped: `needs 4 processors, has ${cpus.length}` };
  const [first = 0, second = 0, third = 0, fourth = 0] = cpus;
  const layout: Layout = { players: [first], sinks: [second, third], proxy: [fourth] };
  const c = ceiling(programs);
  const native = ours('native', programs, ['--transport', 'native', '--mute-above', '0']);
  const filter = ours('native, spares filtered', programs, ['--transport', 'native', '--mute-above', '1']);
  const dgram = ours('node:dgram', programs, ['--transport', 'dgram', '--mute-above', '1']);
  const dgramAll = ours('node:dgram, spares read', programs, ['--transport', 'dgram', '--mute-above', '0']);
  const comparisons: readonly Comparison[] = [
    { name: '1 -> 1, with replies', replicas: 1, proxies: [c, native, dgram, await nginx(programs), await socat()] },
    { name: '1 -> 2, with replies', replicas: 2, proxies: [c, native, filter, dgram, dgramAll] },
    { name: '1 -> 4, with replies', replicas: 4, proxies: [c, native, filter] },
    {
      name: '1 -> 2, with replies, 2,000 players with one datagram each under way',
      ...{ ...manyPlayers, replicas: 2, proxies: [c, native, filter] },
    },
  ];
  const [one, two, four, many] = await (async () => {
    const all: ReadonlyMap<string, Results>[] = [];
    for (const comparison of comparisons) {
      const results = await runComparison(programs, comparison, layout, options);
      print(comparison, results);
      all.push(results);
    }
    return all;
  })();
  const to = (results: ReadonlyMap<string, Results> | undefined, name: string, base: string, figure = perSecond) =>
    ratio(results?.get(name), results?.get(base), figure);
  const nginxMissing = one?.get('nginx stream')?.missing;
  return {
    native_to_ceiling_1_1: to(one, native.name, c.name),
    native_to_ceiling_1_2: to(two, native.name, c.name),
    native_filter_to_ceiling_1_2: to(two, filter.name, c.name),
    native_filter_to_ceiling_1_4: to(four, filter.name, c.name),
    many_players: {
      native_to_ceiling_1_2: to(many, native.name, c.name),
      native_filter_to_ceiling_1_2: to(many, filter.name, c.name),
    },
    native_to_nginx_1_1: to(one, native.name, 'nginx stream'),
    ...(nginxMissing === undefined ? {} : { native_to_nginx_1_1_reason: nginxMissing }),
    dgram_to_ceiling_1_2: to(two, dgram.name, c.name),
    per_cpu: {
      native_to_ceiling_1_2: to(two, native.name, c.name, perCpu),
      native_filter_to_ceiling_1_2: to(two, filter.name, c.name, perCpu),
      native_filter_to_ceiling_1_4: to(four, filter.name, c.name, perCpu),
      native_to_nginx_1_1: to(one, native.name, 'nginx stream', perCpu),
      dgram_to_ceiling_1_2: to(two, dgram.name, c.name, perCpu),
    },
    ...(await workers(programs, options, cpus)),
    ...(await latency(programs, options, layout, [c, native, dgram])),
    ...(await memory(programs, layout, [native, dgram])),
  };
}

/** Compares several workers, each on a CPU, with one; the load has two CPUs in both cases. */
async function workers(programs: Programs, options: SpeedOptions, cpus: readonly number[]): Promise<object> {
  const figures: Record<string, number | null | string> = {};
  for (const count of [2, 4]) {
    const needed = count + 2;
    if (cpus.length < needed) {
      figures[`workers_${count}`] = null;
      figures[`workers_${count}_reason`] = `needs ${needed} processors, has ${cpus.length}`;
      continue;
    }
    const loadCpus = cpus.slice(0, cpus.length - count);
    const flags = ['--transport', programs.addon === undefined ? 'dgram' : 'native', '--mute-above', '0'];
    const outcomes = { one: [] as Outcome[], many: [] as Outcome[] };
    for (let round = 0; round < options.rounds; round++)
      for (const [name, threads] of [
        ['one', 1],
        ['many', count],
      ] as const) {
        const proxy = ours(name, programs, [...flags, '--workers', String(threads)]);
        const layout: Layout = { players: loadCpus, sinks: loadCpus, proxy: cpus.slice(-threads) };
        // The load that costs the proxy most and the players least, so that the players are not the limit.
        const given: Load = {
          ...load,
          ...manyPlayers,
          replicas: 2,
          runMs: options.runMs,
          playerProcesses: loadCpus.length,
        };
        outcomes[name].push(await runTrial(programs, proxy, layout, given));
      }
    const result = (list: readonly Outcome[]): Results => ({ outcomes: list, missing: undefined });
    figures[`workers_${count}`] = ratio(result(outcomes.many), result(outcomes.one), perSecond);
    // The throughput on CPUs that players and replicas do not also need, divided by the number of workers.
    figures[`workers_${count}_per_cpu`] = ratio(result(outcomes.many), result(outcomes.one), perCpu);
    console.log(
      `\n${count} workers / 1 worker, 1 -> 2, 2,000 players: ${figures[`workers_${count}`]}, for each second of processor time ${figures[`workers_${count}_per_cpu`]}`,
    );
  }
  return figures;
}

/** What the proxy adds at 20,000 datagrams a second, 1 -> 2: its latency minus that of the sink alone. */
async function latency(
  programs: Programs,
  options: SpeedOptions,
  layout: Layout,
  proxies: readonly BenchProxy[],
): Promise<object> {
  const given: Load = { ...load, replicas: 2, rate: 20_000, warmMs: 1000, runMs: options.runMs };
  const direct: Outcome[] = [];
  const outcomes = new Map<string, Outcome[]>(proxies.map(({ name }) => [name, []]));
  for (let round = 0; round < options.rounds; round++) {
    direct.push(await runTrial(programs, undefined, layout, { ...given, replicas: 1 }));
    for (const proxy of proxies)
      if (proxy.missing === undefined) outcomes.get(proxy.name)?.push(await runTrial(programs, proxy, layout, given));
  }
  console.log('\n20,000 datagrams/s, 1 -> 2: added latency and processor time');
  console.log('  proxy                p50 us     p99 us   cpu us/datagram');
  const added = (list: readonly Outcome[], figure: (outcome: Outcome) => number) =>
    Math.round(median(list.map((outcome, round) => figure(outcome) - figure(direct[round] ?? outcome))) * 10) / 10;
  const result: Record<string, number | null> = { p50_added_us: null, p99_added_us: null };
  for (const { name } of proxies) {
    const list = outcomes.get(name) ?? [];
    if (list.length === 0) continue;
    const p50 = added(list, ({ p50Us }) => p50Us);
    const p99 = added(list, ({ p99Us }) => p99Us);
    const cpuUs = 1e6 / median(list.map(perCpu));
    console.log(
      `  ${name.padEnd(24)} ${String(p50).padStart(7)} ${String(p99).padStart(10)} ${cpuUs.toFixed(1).padStart(17)}`,
    );
    if (name === 'native')
      Object.assign(result, { p50_added_us: p50, p99_added_us: p99, cpu_us_per_datagram: Math.round(cpuUs * 10) / 10 });
  }
  return result;
}

async function memory(programs: Programs, layout: Layout, proxies: readonly BenchProxy[]): Promise<object> {
  const figures: Record<string, number> = {};
  console.log('\nmemory per session (a player and two replicas), KiB');
  for (const proxy of proxies) {
    if (proxy.missing !== undefined) continue;
    const kib = Math.round((await memoryPerSession(programs, proxy, layout)) * 100) / 100;
    figures[`kib_per_session_${proxy.name.replace(/\W+/g, '_')}`] = kib;
    console.log(`  ${proxy.name.padEnd(24)} ${kib}`);
  }
  return figures;
}
