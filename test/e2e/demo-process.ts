import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { DemoSummary } from '../../sandbox/demo/summary.ts';

const entry: string = join(import.meta.dirname, '..', '..', 'sandbox', 'demo', 'main.ts');

export interface DemoRun {
  readonly pid: number;
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface DemoRunOptions {
  /** Ctrl-C when its output has this text. */
  readonly interruptAt?: string;
  /** Where it keeps its files. */
  readonly temporaryDirectory?: string;
}

/** Runs the demo as `npm start` does. */
export async function runDemoProcess(
  flags: readonly string[],
  { interruptAt, temporaryDirectory }: DemoRunOptions = {},
): Promise<DemoRun> {
  const env = { ...process.env, ...(temporaryDirectory !== undefined && { TMPDIR: temporaryDirectory }) };
  const child = spawn(process.execPath, [entry, ...flags], { stdio: ['ignore', 'pipe', 'pipe'], env });
  if (interruptAt !== undefined) {
    let seen = '';
    child.stdout.on('data', (chunk: Buffer) => {
      const before = seen;
      seen += chunk.toString();
      if (!before.includes(interruptAt) && seen.includes(interruptAt)) child.kill('SIGINT');
    });
  }
  const exited = once(child, 'exit');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await exited;
  return { pid: child.pid ?? 0, status: child.exitCode, stdout, stderr };
}

export function summaryOf({ stdout, stderr }: DemoRun): DemoSummary {
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  if (!last.startsWith('{'))
    throw new Error(`The demo printed no summary: ${stdout.slice(-2000)} ${stderr.slice(-2000)}`);
  return JSON.parse(last) as DemoSummary;
}

/** Command lines of this user's processes that were started with the text in their arguments or environment. */
export function processesWith(text: string): string[] {
  const found: string[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
      if (commandLine.includes(text) || environment.includes(text)) found.push(`${pid} ${commandLine}`);
    } catch {
      // It has ended meanwhile, or is another user's.
    }
  }
  return found;
}
