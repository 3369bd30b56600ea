import { readdirSync, readFileSync } from 'node:fs';

/**
 * Every process of a container has this variable. Its children inherit it, whatever session or process group they
 * create.
 */
export const markerName = 'SPOTABLE_SANDBOX_CONTAINER';

export interface SweepResult {
  killed: number;
  /** Processes still alive at the end: stuck in the kernel, or of another user. */
  alive: number;
}

/** The processes that a sweep looks for: by marker, or as members of the main process's session. */
export interface SweepTarget {
  isMarker(marker: string): boolean;
  sessions: readonly number[];
}

const sweepLimitMs = 5_000;
const betweenPassesMs = 5;

interface Sweep {
  target: SweepTarget;
  killed: Set<number>;
  endsAtMs: number;
  finish(result: SweepResult): void;
}

/**
 * Kills with SIGKILL and scans again until nothing is found, because a process may fork during a scan. The kernel does
 * the same when the first process of a PID namespace ends. Reading all of /proc takes some ms, so sweeps that are
 * requested at the same time share it.
 */
export class Sweeper {
  readonly #sweeps: Set<Sweep> = new Set();

  sweep(target: SweepTarget): Promise<SweepResult> {
    return new Promise((finish) => {
      if (this.#sweeps.size === 0) setImmediate(() => this.#pass());
      this.#sweeps.add({ target, killed: new Set(), endsAtMs: performance.now() + sweepLimitMs, finish });
    });
  }

  #pass(): void {
    const needsSessions = [...this.#sweeps].some(({ target }) => target.sessions.length > 0);
    const processes = listProcesses(needsSessions);
    const alive = new Set(processes.map(({ pid }) => pid));
    for (const sweep of this.#sweeps) {
      const found = processes.filter((process) => isTargeted(process, sweep.target, alive));
      for (const { pid } of found) {
        sweep.killed.add(pid);
        kill(pid);
      }
      if (found.length > 0 && performance.now() < sweep.endsAtMs) continue;
      this.#sweeps.delete(sweep);
      sweep.finish({ killed: sweep.killed.size, alive: found.length });
    }
    if (this.#sweeps.size > 0) setTimeout(() => this.#pass(), betweenPassesMs);
  }
}

interface FoundProcess {
  pid: number;
  marker: string | undefined;
  session: number | undefined;
}

/** Zombies and this process are left out. */
function listProcesses(withSessions: boolean): FoundProcess[] {
  const found: FoundProcess[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const marker = readMarker(pid);
    const session = withSessions ? readSession(pid) : undefined;
    if (marker !== undefined || session !== undefined) found.push({ pid, marker, session });
  }
  return found;
}

/**
 * Match by marker, or by the main process's session: a process in the middle of an exec has no environment to read, and
 * one may have emptied it. The main process has ended: if its PID is in use again, the session is a different one.
 */
function isTargeted({ marker, session }: FoundProcess, target: SweepTarget, alive: ReadonlySet<number>): boolean {
  if (marker !== undefined && target.isMarker(marker)) return true;
  return session !== undefined && target.sessions.includes(session) && !alive.has(session);
}

/** Zombies have an empty environment. */
function readMarker(pid: number): string | undefined {
  const environment = read(`/proc/${pid}/environ`);
  const key = `${markerName}=`;
  const at = environment.startsWith(key) ? 0 : environment.indexOf(`\0${key}`) + 1;
  if (at === 0 && !environment.startsWith(key)) return undefined;
  const end = environment.indexOf('\0', at);
  return environment.slice(at + key.length, end === -1 ? undefined : end);
}

/** Undefined for a process that has gone or is a zombie. */
function readSession(pid: number): number | undefined {
  const stat = read(`/proc/${pid}/stat`);
  // The name in parentheses may contain spaces and parentheses: the fields begin after the last one.
  const [state, , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return state === undefined || state === '' || state === 'Z' || state === 'X' ? undefined : Number(session);
}

/** '' if the process has gone or belongs to another user. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // The process has gone since, or belongs to another user: the next scan tells which.
  }
}
