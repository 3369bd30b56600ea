import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export function run({ command, args, env }: Command): ChildProcess {
  return spawn(command, [...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Milliseconds from exec to the first byte that the game writes. */
export async function startMs(command: Command): Promise<number> {
  const began = performance.now();
  const child = run(command);
  const exit = once(child, 'exit');
  await Promise.race([once(child.stdout ?? child, 'data'), exit]);
  const took = performance.now() - began;
  child.stderr?.resume();
  await exit;
  return took;
}

/** Proportional memory, MiB: a page shared by n processes counts as an n-th. */
export function proportionalMiB(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN) / 1024;
}

/** Child processes of the process, without the game. */
export function startedBy(pid: number, isGame: (commandLine: string) => boolean): readonly number[] {
  const own: number[] = [];
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      if (parent === pid && !isGame(readFileSync(`/proc/${name}/cmdline`, 'utf8'))) own.push(Number(name));
    } catch {
      // It has ended since.
    }
  }
  return own;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export async function waitFor(
  what: string,
  isThere: () => boolean | Promise<boolean>,
  limitMs = 60_000,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await isThere())) {
    if (performance.now() > endMs) throw new Error(`Gave up waiting until ${what}`);
    await new Promise((wake) => setTimeout(wake, 5));
  }
}
