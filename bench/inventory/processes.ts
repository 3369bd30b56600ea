import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

const root = new URL('../..', import.meta.url).pathname;
const startMs = 20_000;

export interface StartedProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  /** The pattern's match in the line that reports the start. */
  readonly found: string;
}

/** Starts one of our processes and waits for the line with its address. */
export async function start(
  args: readonly string[],
  { says, on }: { readonly says: RegExp; readonly on: 'stdout' | 'stderr' },
): Promise<StartedProcess> {
  const child = spawn(process.execPath, [...args], {
    cwd: root,
    stdio: ['ignore', on === 'stdout' ? 'pipe' : 'ignore', on === 'stderr' ? 'pipe' : 'inherit'],
    env: { ...process.env, AWS_ACCESS_KEY_ID: 'bench', AWS_SECRET_ACCESS_KEY: 'bench', AWS_REGION: 'us-east-1' },
  });
  const closed = once(child, 'close');
  const found = await firstMatch(child[on], says, AbortSignal.timeout(startMs)).catch((cause) => {
    child.kill('SIGKILL');
    throw new Error(`Cannot start ${args[0]}: it does not say ${says}`, { cause });
  });
  return {
    child,
    found,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await closed;
    },
  };
}

async function firstMatch(stream: Readable | null, pattern: RegExp, signal: AbortSignal): Promise<string> {
  if (stream === null) throw new Error('Cannot read what it prints');
  const lines = createInterface({ input: stream, signal });
  for await (const line of lines) {
    const match = pattern.exec(line);
    if (match?.[1] === undefined) continue;
    // Its further output must not fill the pipe.
    stream.resume();
    return match[1];
  }
  throw new Error('Cannot find it: the output ended');
}

/** The process's peak memory so far, MiB. */
export async function peakRssMib(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}
