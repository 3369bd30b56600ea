import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import type { Writable } from 'node:stream';

/** Ends the game's process group when this process is gone, in whatever way. */
export interface Watchdog {
  /** The game has ended by itself: disarm. */
  dismiss(): void;
  /** Resolves when the watchdog has ended. */
  readonly left: Promise<void>;
}

/**
 * `read` returns when the pipe closes, and only we hold its other end: that happens at our death, SIGKILL included. A
 * parent-death signal (`setpriv --pdeathsig`) would reach the game's first process alone, and not the processes that a
 * launcher script has started.
 */
const script = 'read -r dismissed || kill -s KILL -- "-$1"';

/** undefined: there is no shell to run it; `onMissing` is called. */
export function guardGroup(pid: number, onMissing: (error: Error) => void): Watchdog {
  // Use a separate session: neither the terminal's Ctrl-C nor a signal to the game's group may end the watchdog.
  const shell = spawn('/bin/sh', ['-c', script, 'spotable-watchdog', String(pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: {},
    cwd: '/',
  });
  const { promise: left, resolve } = Promise.withResolvers<void>();
  shell.once('exit', () => resolve());
  shell.once('error', (error) => {
    onMissing(error);
    resolve();
  });
  // undefined if the descriptors have run out, despite its type.
  const input: Writable | undefined = shell.stdin;
  input?.on('error', () => {});
  shell.unref();
  return { dismiss: () => dismiss(shell), left };
}

function dismiss(shell: ChildProcess & { readonly stdin: Writable | null }): void {
  shell.stdin?.end('dismissed\n');
}

/** The kernel's inode number of the first PID namespace: PROC_PID_INIT_INO. */
const firstPidNamespace = 'pid:[4026531836]';

/** Programs that, as PID 1, end with the one program that they were given. A start script or a supervisor may go on. */
const inits: ReadonlySet<string> = new Set(['tini', 'tini-static', 'docker-init', 'dumb-init', 'catatonit']);

/**
 * Whether the wrapper's end is the container's end: then the kernel ends every process in it, and no watchdog is
 * needed.
 */
export function endsItsContainer({ pid, ppid }: { readonly pid: number; readonly ppid: number }): boolean {
  if (pid === 1) return true;
  return ppid === 1 && pidNamespace() !== firstPidNamespace && inits.has(nameOf(ppid));
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return firstPidNamespace;
  }
}
