import { type Contestant, ceiling, nginx, ours, socat } from './contestants.ts';
import { allowedCpus } from './processes.ts';
import type { Programs } from './programs.ts';
import { type Layout, type Load, memoryPerSession, type Outcome, runTrial } from './trial.ts';

export interface SpeedOptions {
  readonly rounds: number;
  readonly runMs: number;
}

/** A comparison: contestants that take turns, the first of them is what the others are measured by. */
interface Match {
  readonly name: string;
  readonly contestants: readonly Contestant[];
  readonly replicas: number;
  readonly flows?: number;
  readonly window?: number;
}

interface Standing {
  readonly outcomes: readonly Outcome[];
  readonly missing: string | undefined;
}

/** Long enough for the proxy to notice its load and stop hearing the spares, and for its code to be compiled. */
const warmMs = 2200;
/** Nothing that is sent belongs together, so nothing can be sent together. */
const manyPlayers = { flows: 2000, window: 1 };
const load = { flows: 64, window: 8, rate: 0, warmMs, playerProcesses: 1 };

function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

async function play(programs: Programs, match: Match, layout: Layout, options: SpeedOptions) {
  const { contestants, replicas, flows = load.flows, window = load.window } = match;
  const standings = new Map<string, Outcome[]>(contestants.map(({ name }) => [name, []]));
  for (let round = 0; round < options.rounds; round++)
    for (const contestant of contestants)
      if (contestant.missing === undefined)
        standings
          .get(contestant.name)
          ?.push(
            await runTrial(programs, contestant, layout, { ...load, flows, window, replicas, runMs: options.runMs }),
          );
  return new Map<string, Standing>(
    contestants.map(({ name, missing }) => [name, { outcomes: standings.get(name) ?? [], missing }]),
  );
}

/** The median over rounds of one contestant's figure divided by another's in the same round. */
function ratio(
  one: Standing | undefined,
  other: Standing | undefined,
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

function print(match: Match, standings: ReadonlyMap<string, Standing>): void {
  console.log(`\n${match.name}`);
  console.log('  contestant                answers/s   ratio   per cpu-s   ratio     lost');
  const base = standings.get(match.contestants[0]?.name ?? '');
  for (const { name } of match.contestants) {
    const standing = standings.get(name);
    if (standing === undefined || standing.outcomes.length === 0) {
      console.log(`  ${name.padEnd(24)} ${standing?.missing ?? 'not run'}`);
      continue;
    }
    const of = (figure: (outcome: Outcome) => number) => median(standing.outcomes.map(figure));
    const cells = [
      Math.round(of(perSecond)).toLocaleString('en-US').padStart(10),
      String(ratio(standing, base, perSecond)).padStart(7),
      Math.round(of(perCpu)).toLocaleString('en-US').padStart(11),
      String(ratio(standing, base, perCpu)).padStart(7),
      `${(of(({ lostShare }) => lostShare) * 100).toFixed(3)} %`.padStart(8),
    ];
    console.log(`  ${name.padEnd(24)} ${cells.join(' ')}`);
  }
}

/** Compares all that is here, prints tables, and returns the figures; null, with a reason, where a part is missing. */
export async function runSpeed(programs: Programs, options: SpeedOptions): Promise<object> {
  const cpus = allowedCpus();
  if (cpus.length < 4) return { skipped: `needs 4 processors, has ${cpus.length}` };
  const [first = 0, second = 0, third = 0, fourth = 0] = cpus;
  const layout: Layout = { players: [first], sinks: [second, third], proxy: [fourth] };
  const c = ceiling(programs);
  const fast = ours('fast', programs, ['--path', 'fast', '--deafen-above', '0']);
  const filter = ours('fast, spares filtered', programs, ['--path', 'fast', '--deafen-above', '1']);
  const dgram = ours('node:dgram', programs, ['--path', 'dgram', '--deafen-above', '1']);
  const dgramAll = ours('node:dgram, spares heard', programs, ['--path', 'dgram', '--deafen-above', '0']);
  const matches: readonly Match[] = [
    { name: '1 -> 1, with replies', replicas: 1, contestants: [c, fast, dgram, await nginx(programs), await socat()] },
    { name: '1 -> 2, with replies', replicas: 2, contestants: [c, fast, filter, dgram, dgramAll] },
    { name: '1 -> 4, with replies', replicas: 4, contestants: [c, fast, filter] },
    {
      name: '1 -> 2, with replies, 2,000 players with one datagram each under way',
      ...{ ...manyPlayers, replicas: 2, contestants: [c, fast, filter] },
    },
  ];
  const [one, two, four, many] = await (async () => {
    const all: ReadonlyMap<string, Standing>[] = [];
    for (const match of matches) {
      const standings = await play(programs, match, layout, options);
      print(match, standings);
      all.push(standings);
    }
    return all;
  })();
  const to = (standings: ReadonlyMap<string, Standing> | undefined, name: string, base: string, figure = perSecond) =>
    ratio(standings?.get(name), standings?.get(base), figure);
  const nginxMissing = one?.get('nginx stream')?.missing;
  return {
    fast_to_ceiling_1_1: to(one, fast.name, c.name),
    fast_to_ceiling_1_2: to(two, fast.name, c.name),
    fast_filter_to_ceiling_1_2: to(two, filter.name, c.name),
    fast_filter_to_ceiling_1_4: to(four, filter.name, c.name),
    many_players: {
      fast_to_ceiling_1_2: to(many, fast.name, c.name),
      fast_filter_to_ceiling_1_2: to(many, filter.name, c.name),
    },
    fast_to_nginx_1_1: to(one, fast.name, 'nginx stream'),
    ...(nginxMissing === undefined ? {} : { fast_to_nginx_1_1_reason: nginxMissing }),
    dgram_to_ceiling_1_2: to(two, dgram.name, c.name),
    per_cpu: {
      fast_to_ceiling_1_2: to(two, fast.name, c.name, perCpu),
      fast_filter_to_ceiling_1_2: to(two, filter.name, c.name, perCpu),
      fast_filter_to_ceiling_1_4: to(four, filter.name, c.name, perCpu),
      fast_to_nginx_1_1: to(one, fast.name, 'nginx stream', perCpu),
      dgram_to_ceiling_1_2: to(two, dgram.name, c.name, perCpu),
    },
    ...(await workers(programs, options, cpus)),
    ...(await latency(programs, options, layout, [c, fast, dgram])),
    ...(await memory(programs, layout, [fast, dgram])),
  };
}

/** Several workers on as many processors against one; the load has two processors in both. */
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
    const flags = ['--path', programs.addon === undefined ? 'dgram' : 'fast', '--deafen-above', '0'];
    const outcomes = { one: [] as Outcome[], many: [] as Outcome[] };
    for (let round = 0; round < options.rounds; round++)
      for (const [name, threads] of [
        ['one', 1],
        ['many', count],
      ] as const) {
        const contestant = ours(name, programs, [...flags, '--workers', String(threads)]);
        const layout: Layout = { players: loadCpus, sinks: loadCpus, proxy: cpus.slice(-threads) };
        // What costs the proxy most and the players least, who would be the limit otherwise.
        const given: Load = {
          ...load,
          ...manyPlayers,
          replicas: 2,
          runMs: options.runMs,
          playerProcesses: loadCpus.length,
        };
        outcomes[name].push(await runTrial(programs, contestant, layout, given));
      }
    const standing = (list: readonly Outcome[]): Standing => ({ outcomes: list, missing: undefined });
    figures[`workers_${count}`] = ratio(standing(outcomes.many), standing(outcomes.one), perSecond);
    // What several workers would reach on processors that players and replicas do not need as well, divided by their number.
    figures[`workers_${count}_per_cpu`] = ratio(standing(outcomes.many), standing(outcomes.one), perCpu);
    console.log(
      `\n${count} workers / 1 worker, 1 -> 2, 2,000 players: ${figures[`workers_${count}`]}, for each second of processor time ${figures[`workers_${count}_per_cpu`]}`,
    );
  }
  return figures;
}

/** What the proxy adds at 20,000 datagrams a second, 1 -> 2: its latency less that of the sink alone. */
async function latency(
  programs: Programs,
  options: SpeedOptions,
  layout: Layout,
  contestants: readonly Contestant[],
): Promise<object> {
  const given: Load = { ...load, replicas: 2, rate: 20_000, warmMs: 1000, runMs: options.runMs };
  const direct: Outcome[] = [];
  const outcomes = new Map<string, Outcome[]>(contestants.map(({ name }) => [name, []]));
  for (let round = 0; round < options.rounds; round++) {
    direct.push(await runTrial(programs, undefined, layout, { ...given, replicas: 1 }));
    for (const contestant of contestants)
      if (contestant.missing === undefined)
        outcomes.get(contestant.name)?.push(await runTrial(programs, contestant, layout, given));
  }
  console.log('\n20,000 datagrams/s, 1 -> 2: added latency and processor time');
  console.log('  contestant                p50 us     p99 us   cpu us/datagram');
  const added = (list: readonly Outcome[], figure: (outcome: Outcome) => number) =>
    Math.round(median(list.map((outcome, round) => figure(outcome) - figure(direct[round] ?? outcome))) * 10) / 10;
  const result: Record<string, number | null> = { p50_added_us: null, p99_added_us: null };
  for (const { name } of contestants) {
    const list = outcomes.get(name) ?? [];
    if (list.length === 0) continue;
    const p50 = added(list, ({ p50Us }) => p50Us);
    const p99 = added(list, ({ p99Us }) => p99Us);
    const cpuUs = 1e6 / median(list.map(perCpu));
    console.log(
      `  ${name.padEnd(24)} ${String(p50).padStart(7)} ${String(p99).padStart(10)} ${cpuUs.toFixed(1).padStart(17)}`,
    );
    if (name === 'fast')
      Object.assign(result, { p50_added_us: p50, p99_added_us: p99, cpu_us_per_datagram: Math.round(cpuUs * 10) / 10 });
  }
  return result;
}

async function memory(programs: Programs, layout: Layout, contestants: readonly Contestant[]): Promise<object> {
  const figures: Record<string, number> = {};
  console.log('\nmemory per session (a player and two replicas), KiB');
  for (const contestant of contestants) {
    if (contestant.missing !== undefined) continue;
    const kib = Math.round((await memoryPerSession(programs, contestant, layout)) * 100) / 100;
    figures[`kib_per_session_${contestant.name.replace(/\W+/g, '_')}`] = kib;
    console.log(`  ${contestant.name.padEnd(24)} ${kib}`);
  }
  return figures;
}
