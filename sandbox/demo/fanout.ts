import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { untilAborted } from '../../shared/until-aborted.ts';
import { joinReports, Player, type PlayerReport } from '../game/player.ts';

export interface FanoutOptions {
  /** The inventory's HTTP API; the replicas of the match are found there. */
  readonly inventoryUrl: string;
  readonly matchType: string;
  readonly onPrimary: (replica: string, atMs: number) => void;
}

export interface FanoutDemo extends AsyncDisposable {
  /** Lets the players in, as soon as a replica answers; they stay until the end. */
  admitPlayers(signal: AbortSignal): Promise<void>;
  report(): PlayerReport;
}

const players = 3;
const datagramsPerSecond = 30;
const longestStopMs = 3000;

/** Runs the fan-out proxy as a process, in front of the replicas of one match, and players at its public port. */
export async function startFanout({ inventoryUrl, matchType, onPrimary }: FanoutOptions): Promise<FanoutDemo> {
  const entry = join(import.meta.dirname, '..', '..', 'wrapper', 'fanout', 'main.ts');
  const flags = [
    ...['--listen', '127.0.0.1:0', '--operations', '127.0.0.1:0', '--inventory-interval', '100ms', '--drain', '0s'],
    ...['--inventory-url', `${inventoryUrl}game-servers?type=${matchType}`],
  ];
  const proxy = spawn(process.execPath, [entry, ...flags], { stdio: ['ignore', 'inherit', 'pipe'] });
  const port = Promise.withResolvers<number>();
  const primary = Promise.withResolvers<void>();
  createInterface({ input: proxy.stderr }).on('line', (text) => {
    const line = JSON.parse(text) as { msg?: string; to?: string; port?: number; time?: number };
    if (line.msg === 'Fan-out proxy serves') port.resolve(line.port ?? 0);
    if (line.msg !== 'Primary changed' || typeof line.to !== 'string') return;
    primary.resolve();
    onPrimary(line.to, line.time ?? Date.now());
  });
  const everyone: Player[] = [];
  return {
    admitPlayers: async (signal) => {
      const [publicPort] = await untilAborted(Promise.all([port.promise, primary.promise]), signal);
      everyone.push(...Array.from({ length: players }, () => new Player('127.0.0.1', publicPort)));
      await Promise.all(everyone.map((player) => player.play(datagramsPerSecond)));
    },
    report: () => joinReports(everyone.map((player) => player.report())),
    [Symbol.asyncDispose]: async () => {
      for (const player of everyone) player.leave();
      await endProxy(proxy);
    },
  };
}

async function endProxy(proxy: ChildProcess): Promise<void> {
  if (proxy.exitCode !== null || proxy.signalCode !== null) return;
  const exited = once(proxy, 'exit');
  proxy.kill('SIGTERM');
  const timer = setTimeout(() => proxy.kill('SIGKILL'), longestStopMs);
  await exited;
  clearTimeout(timer);
}
