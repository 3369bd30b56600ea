import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { untilAborted } from '../../shared/until-aborted.ts';
import type { PlayersReport } from '../game/player.ts';

export interface FanoutOptions {
  /** The inventory's HTTP API, where the proxy finds the replicas of the match. */
  readonly inventoryUrl: string;
  readonly matchType: string;
  readonly onPrimary: (replica: string, atMs: number) => void;
  /** Called every few seconds with the players' figures. */
  readonly onReport: (report: PlayersReport) => void;
}

export interface FanoutDemo extends AsyncDisposable {
  /** Connects the players as soon as a replica replies; they stay until the end. */
  admitPlayers(signal: AbortSignal): Promise<void>;
  /** Disconnects the players and returns their figures. */
  dismissPlayers(): Promise<PlayersReport>;
}

const players = 3;
const datagramsPerSecond = 30;
const reportEveryMs = 3000;
const maxStopMs = 3000;

const folder = import.meta.dirname;
const proxyEntry = join(folder, '..', '..', 'fanout', 'main.ts');
const playersEntry = join(folder, '..', 'game', 'players', 'main.ts');

/** Runs the fan-out proxy in front of the replicas of one match, and players at its public port, each as a process. */
export async function startFanout({
  inventoryUrl,
  matchType,
  onPrimary,
  onReport,
}: FanoutOptions): Promise<FanoutDemo> {
  const flags = [
    ...['--listen', '127.0.0.1:0', '--operations', '127.0.0.1:0', '--inventory-interval', '100ms', '--drain', '0s'],
    ...['--inventory-url', `${inventoryUrl}game-servers?type=${matchType}`],
  ];
  const proxy = spawn(process.execPath, [proxyEntry, ...flags], { stdio: ['ignore', 'inherit', 'pipe'] });
  const port = Promise.withResolvers<number>();
  const primary = Promise.withResolvers<void>();
  createInterface({ input: proxy.stderr }).on('line', (text) => {
    const line = JSON.parse(text) as { msg?: string; to?: string; port?: number; time?: number };
    if (line.msg === 'Fan-out proxy listening') port.resolve(line.port ?? 0);
    if (line.msg !== 'Primary changed' || typeof line.to !== 'string') return;
    primary.resolve();
    onPrimary(line.to, line.time ?? Date.now());
  });
  let everyone: PlayersProcess | undefined;
  return {
    admitPlayers: async (signal) => {
      const [publicPort] = await untilAborted(Promise.all([port.promise, primary.promise]), signal);
      everyone = startPlayers(publicPort, onReport);
      await untilAborted(everyone.playing, signal);
    },
    dismissPlayers: async () => {
      if (everyone === undefined) throw new Error('No players were let in');
      await end(everyone.child);
      return everyone.last();
    },
    [Symbol.asyncDispose]: async () => {
      if (everyone !== undefined) await end(everyone.child);
      await end(proxy);
    },
  };
}

interface PlayersProcess {
  readonly child: ChildProcess;
  readonly playing: Promise<void>;
  /** The newest report; after the process has ended, the final one. */
  last(): PlayersReport;
}

function startPlayers(port: number, onReport: (report: PlayersReport) => void): PlayersProcess {
  const flags = ['--port', port, '--players', players, '--rate', datagramsPerSecond, '--report-every', reportEveryMs];
  const child = spawn(process.execPath, [playersEntry, ...flags.map(String)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const playing = Promise.withResolvers<void>();
  let last: PlayersReport | undefined;
  createInterface({ input: child.stdout }).on('line', (text) => {
    const isFirst = last === undefined;
    last = JSON.parse(text) as PlayersReport;
    if (isFirst) playing.resolve();
    // The final report belongs to the summary.
    else if (!child.killed) onReport(last);
  });
  child.once('close', () => playing.reject(new Error('The players could not play')));
  playing.promise.catch(() => {});
  return {
    child,
    playing: playing.promise,
    last: () => {
      if (last === undefined) throw new Error('The players have said nothing');
      return last;
    },
  };
}

/** Waits until all output is read. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), maxStopMs);
  await closed;
  clearTimeout(timer);
}
