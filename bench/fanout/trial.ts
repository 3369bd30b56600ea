import { cpuSeconds, freePort, type Running, residentKib, start, untilAnswered } from './processes.ts';
import type { Programs } from './programs.ts';
import type { BenchProxy } from './proxies.ts';

/** The CPUs of each part of a trial. */
export interface Layout {
  readonly proxy: readonly number[];
  readonly players: readonly number[];
  readonly sinks: readonly number[];
}

export interface Load {
  readonly replicas: number;
  readonly flows: number;
  /** Datagrams in flight per flow. */
  readonly window: number;
  /** Datagrams per second in total, evenly spaced; 0: as fast as replies arrive. */
  readonly rate: number;
  readonly warmMs: number;
  readonly runMs: number;
  readonly playerProcesses: number;
}

export interface Outcome {
  readonly answersPerSecond: number;
  /** Replies per second of the proxy's CPU time, which other load on the machine does not change. */
  readonly answersPerCpuSecond: number;
  readonly lostShare: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

interface PlayersReport {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly seconds: number;
  readonly p50_us: number;
  readonly p99_us: number;
}

const datagramBytes = 100;
const memorySessions = 4000;

async function startSinks(programs: Programs, cpus: readonly number[], count: number) {
  const sinks = Array.from({ length: count }, (_, index) =>
    start(programs.pin, [cpus[index % cpus.length] ?? 0], [programs.sink]),
  );
  return { sinks, ports: await Promise.all(sinks.map(async (sink) => Number(await sink.nextLine()))) };
}

/** Runs one proxy under one load. undefined: the players talk to the first sink directly. */
export async function runTrial(
  programs: Programs,
  contestant: BenchProxy | undefined,
  layout: Layout,
  load: Load,
): Promise<Outcome> {
  const { sinks, ports } = await startSinks(programs, layout.sinks, load.replicas);
  const listenPort = contestant === undefined ? (ports[0] ?? 0) : await freePort();
  const command = await contestant?.command(listenPort, ports);
  const proxy = command === undefined ? undefined : start(programs.pin, layout.proxy, command);
  try {
    await untilAnswered(listenPort);
    return await measure(programs, listenPort, proxy, layout, load);
  } finally {
    await Promise.all([proxy?.stop('SIGKILL'), ...sinks.map((sink) => sink.stop('SIGKILL'))]);
  }
}

async function measure(
  programs: Programs,
  port: number,
  proxy: Running | undefined,
  layout: Layout,
  { flows, window, rate, warmMs, runMs, playerProcesses }: Load,
): Promise<Outcome> {
  const perProcess = [port, flows, window, Math.round(rate / playerProcesses), warmMs, runMs, datagramBytes].map(
    String,
  );
  const players = Array.from({ length: playerProcesses }, (_, index) =>
    start(programs.pin, [layout.players[index % layout.players.length] ?? 0], [programs.players, ...perProcess]),
  );
  const cpu = () => (proxy?.child.pid === undefined ? 0 : cpuSeconds(proxy.child.pid));
  await Promise.all(players.map((player) => player.nextLine()));
  const before = cpu();
  await Promise.all(players.map((player) => player.nextLine()));
  const used = cpu() - before;
  const reports = await Promise.all(
    players.map(async (player) => JSON.parse(await player.nextLine()) as PlayersReport),
  );
  const total = (field: keyof PlayersReport) => reports.reduce((sum, report) => sum + report[field], 0);
  return {
    answersPerSecond: total('received') / (runMs / 1000),
    answersPerCpuSecond: used > 0 ? total('received') / used : Number.NaN,
    lostShare: total('lost') / Math.max(1, total('sent')),
    p50Us: Math.max(...reports.map(({ p50_us }) => p50_us)),
    p99Us: Math.max(...reports.map(({ p99_us }) => p99_us)),
  };
}

/** KiB that one session (a player and two replicas) adds to the proxy. */
export async function memoryPerSession(programs: Programs, contestant: BenchProxy, layout: Layout): Promise<number> {
  const { sinks, ports } = await startSinks(programs, layout.sinks, 2);
  const port = await freePort();
  const proxy = start(programs.pin, layout.proxy, await contestant.command(port, ports));
  const load = { replicas: 2, window: 1, rate: 8000, warmMs: 500, runMs: 1500, playerProcesses: 1 };
  const pid = proxy.child.pid ?? 0;
  try {
    await untilAnswered(port);
    // First the same traffic on few sessions, because its own memory (compiled code, buffers) is not the sessions'.
    await measure(programs, port, proxy, layout, { ...load, flows: 50 });
    const before = residentKib(pid);
    await measure(programs, port, proxy, layout, { ...load, flows: memorySessions });
    return (residentKib(pid) - before) / memorySessions;
  } finally {
    await Promise.all([proxy.stop('SIGKILL'), ...sinks.map((sink) => sink.stop('SIGKILL'))]);
  }
}
