import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { compileCache } from '../../compile-cache.ts';
import { testCredentials } from './event-queue-fixture.ts';

const main = new URL('../../../inventory/main.ts', import.meta.url).pathname;

export function spawnReader(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  return spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], ...compileCache, ...testCredentials, ...env },
  });
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the reader to its end. `kill` sends it SIGTERM after that many milliseconds of life at the latest. */
export async function runReader(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const child = spawnReader(args, env);
  const killer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('Cannot read what the reader prints');
  const [out, err, [code]] = await Promise.all([
    text(stdout),
    text(stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  clearTimeout(killer);
  return { code, stdout: out, stderr: err };
}
