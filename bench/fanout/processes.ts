import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { createInterface, type Interface } from 'node:readline';

/** A program of a trial, pinned to its CPUs. */
export interface Running {
  readonly child: ChildProcess;
  readonly lines: Interface;
  nextLine(limitMs?: number): Promise<string>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

const lineTimeoutMs = 60_000;

export function start(pin: string, cpus: readonly number[], command: readonly string[]): Running {
  const child = spawn(pin, [cpus.join(','), ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const waiting: string[] = [];
  const wake = { now: () => {} };
  lines.on('line', (line) => {
    waiting.push(line);
    wake.now();
  });
  return {
    child,
    lines,
    nextLine: async (limitMs = lineTimeoutMs) => {
      const deadline = AbortSignal.timeout(limitMs);
      while (waiting.length === 0) {
        if (deadline.aborted) throw new Error(`No output of ${command.join(' ')} within ${limitMs} ms`);
        await new Promise<void>((resolve) => {
          wake.now = resolve;
          deadline.addEventListener('abort', () => resolve(), { once: true });
        });
      }
      return waiting.shift() ?? '';
    },
    stop: async (signal = 'SIGTERM') => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await once(child, 'exit');
    },
  };
}

/** CPU time of all threads, seconds. */
export function cpuSeconds(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`))
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  return nanoseconds / 1e9;
}

/** Resident memory, KiB. */
export function residentKib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
}

/** The CPUs of `Cpus_allowed_list`, such as `0-3,8`. */
export function allowedCpus(): readonly number[] {
  const list = /^Cpus_allowed_list:\s+(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return list.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

export async function freePort(kind: 'udp' | 'tcp' = 'udp'): Promise<number> {
  if (kind === 'tcp') {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    return port;
  }
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}

/** Sends until a reply arrives. */
export async function untilAnswered(port: number, limitMs = 10_000): Promise<void> {
  const socket = createSocket('udp4');
  socket.on('error', () => {});
  const answered = Promise.withResolvers<void>();
  socket.once('message', () => answered.resolve());
  const timer = setInterval(() => socket.send('12345678', port, '127.0.0.1', () => {}), 20);
  const limit = setTimeout(() => answered.reject(new Error(`Nobody answers on port ${port}`)), limitMs);
  try {
    await answered.promise;
  } finally {
    clearInterval(timer);
    clearTimeout(limit);
    socket.close();
  }
}
