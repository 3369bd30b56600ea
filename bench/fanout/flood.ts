import { spawnSync } from 'node:child_process';
import { allowedCpus, freePort, residentKib, start, untilAnswered } from './processes.ts';
import type { Programs } from './programs.ts';
import { ours } from './proxies.ts';

export interface FloodOptions {
  readonly addresses: number;
  readonly transport: string;
  /** Datagrams per second of the flood. */
  readonly perSecond: number;
  /** Datagrams of each address: more than three over more than a second confirm a player. */
  readonly rounds: number;
}

/** Each has 28,000 ports. */
const upstreamAddresses = Array.from({ length: 16 }, (_, index) => `127.0.1.${index + 1}`);

const players = 200;
const perPlayer = 60;
const warmMs = 2500;

/** Measures what confirmed players lose in a flood of made-up addresses, and how much the proxy grows. */
export async function runFlood(
  programs: Programs,
  { addresses, transport, perSecond: floodPerSecond, rounds }: FloodOptions,
): Promise<object> {
  const isCrowd = rounds > 1;
  const unlimited = isCrowd ? moreDescriptors(addresses * 3) : [];
  const cpus = allowedCpus();
  const replicas = [start(programs.pin, cpus, [programs.sink]), start(programs.pin, cpus, [programs.sink])];
  const ports = await Promise.all(replicas.map(async (replica) => Number(await replica.nextLine())));
  const [port, operations] = [await freePort(), await freePort('tcp')];
  // The proxy's defaults, except that all players share one address here.
  const limits = isCrowd
    ? // A quarter of the table is for newcomers, and all of them are at first.
      ['--session-rate', '5000', '--max-sessions', String(addresses * 5), '--unconfirmed-idle', '30s']
    : ['--session-rate', '500', '--max-sessions', '10000'];
  const sources = isCrowd ? upstreamAddresses.flatMap((address) => ['--upstream-address', address]) : [];
  const flags = ['--transport', transport, '--source-rate', '2000000', ...limits, ...sources];
  const command = await ours('ours', programs, flags).command(port, ports);
  const proxy = start(programs.pin, cpus, [
    ...unlimited,
    ...command.toSpliced(command.indexOf('--operations') + 1, 1, `127.0.0.1:${operations}`),
  ]);
  const pid = proxy.child.pid ?? 0;
  const floodMs = ((addresses * rounds) / floodPerSecond) * 1000;
  try {
    await untilAnswered(port);
    const load = [port, players, 1, players * perPlayer, warmMs, Math.round(floodMs + 1000), 100].map(String);
    const playing = start(programs.pin, cpus, [programs.players, ...load]);
    await playing.nextLine();
    const before = residentKib(pid);
    const flood = start(programs.pin, cpus, [programs.flood, ...[port, addresses, floodPerSecond, rounds].map(String)]);
    let most = before;
    const watch = setInterval(() => (most = Math.max(most, residentKib(pid))), 100);
    const flooded = Number(await flood.nextLine(floodMs * 5 + 20_000));
    await playing.nextLine(floodMs * 5 + 20_000);
    clearInterval(watch);
    const report = JSON.parse(await playing.nextLine()) as { sent: number; received: number };
    const metrics = await (await fetch(`http://127.0.0.1:${operations}/metrics`)).text();
    const figure = (name: string) =>
      metrics
        .split('\n')
        .filter((line) => line.startsWith(`spotable_fanout_${name}`))
        .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
    const result = {
      addresses,
      datagrams: flooded,
      transport,
      players_sent: report.sent,
      players_lost_share: Math.max(0, Math.round((1 - report.received / report.sent) * 1e5) / 1e5),
      rss_before_mib: Math.round(before / 102.4) / 10,
      rss_most_mib: Math.round(most / 102.4) / 10,
      ...(isCrowd ? { has_descriptors_for_all: unlimited.length > 0 } : {}),
      ...(isCrowd ? { kib_per_session: Math.round(((most - before) / addresses) * 100) / 100 } : {}),
      sessions: figure('sessions{'),
      sessions_opened: figure('sessions_opened_total'),
      drops: figure('drops_total'),
    };
    console.log(
      `${isCrowd ? 'crowd' : 'flood'} of ${addresses} addresses at ${floodPerSecond}/s, ${players} players at ${perPlayer}/s, over ${transport}`,
    );
    for (const [name, value] of Object.entries(result)) console.log(`  ${name.padEnd(20)} ${value}`);
    return result;
  } finally {
    await Promise.all([proxy.stop('SIGKILL'), ...replicas.map((replica) => replica.stop('SIGKILL'))]);
  }
}

/**
 * The prefix of a command that raises its descriptor limit; empty if this user may not: then not every session gets its
 * sockets.
 */
function moreDescriptors(count: number): readonly string[] {
  const prefix = ['prlimit', `--nofile=${count}:${count}`];
  return spawnSync('prlimit', [...prefix.slice(1), 'true']).status === 0 ? prefix : [];
}
