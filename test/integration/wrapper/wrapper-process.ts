import assert from 'node:assert/strict';
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { compileCache } from '../../compile-cache.ts';

/** What happens after a test: node:test's context, or a list of one's own. */
export interface Afterwards {
  after(act: () => unknown): void;
}

export interface LogLine {
  readonly msg: string;
  readonly time: number;
  readonly level: number;
  readonly gameServerId: string;
  readonly [field: string]: unknown;
}

export interface WrapperOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** The whole command in front of the wrapper, for example `tini --`. */
  readonly before?: readonly string[];
  readonly stdin?: 'pipe' | 'ignore';
  readonly cwd?: string;
  /** undefined: read line by line. */
  readonly stdout?: 'unread';
}

/** Nothing here takes longer on an idle machine than a second; tests run beside others. */
export const patienceMs = 30_000;

const main = fileURLToPath(new URL('../../../wrapper/main.ts', import.meta.url));

/** Command of a fixture program. */
export function fixture(name: string, ...args: string[]): string[] {
  const path = fileURLToPath(new URL(`../../fixtures/games/${name}`, import.meta.url));
  return name.endsWith('.ts') ? [process.execPath, path, ...args] : [path, ...args];
}

/** A folder of its own, removed after the test. */
export function temporaryFolder(t: Afterwards): string {
  const folder = mkdtempSync(join(tmpdir(), 'spotable-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Waits until `look` finds something. */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const limitMs = Date.now() + patienceMs;
  for (let waitMs = 2; Date.now() < limitMs; waitMs = Math.min(waitMs * 1.5, 50)) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await sleep(waitMs);
  }
  throw new Error(`Gave up waiting until ${what}`);
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Where nobody reaps orphans (PID 1 of a bare test container), a dead process keeps its entry. */
export function isAliveAndNoZombie(pid: number): boolean {
  if (!isAlive(pid)) return false;
  const path = `/proc/${pid}/stat`;
  return existsSync(path) && !/^\d+ \(.*\) Z/.test(readFileSync(path, 'utf8'));
}

/** A wrapper in a process of its own. It hears of no agent and no EC2 unless the flags say so. */
export class WrapperProcess {
  readonly child: ChildProcess;
  readonly log: LogLine[] = [];
  /** Lines on stderr that are not JSON. */
  readonly plain: string[] = [];
  readonly output: string[] = [];
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;

  constructor(t: Afterwards, flags: readonly string[], game: readonly string[], options: WrapperOptions = {}) {
    const { env = {}, before = [], stdin = 'ignore' } = options;
    const defaults = {
      LINK: 'none',
      METADATA_ENDPOINT: 'none',
      TMPDIR: temporaryFolder(t),
      PATH: process.env['PATH'] ?? '',
      ...compileCache,
    };
    const [command = '', ...args] = [...before, process.execPath, main, ...flags, '--', ...game];
    const stdio: StdioOptions = [stdin, 'pipe', 'pipe'];
    this.child = spawn(command, args, { stdio, env: { ...defaults, ...env }, cwd: options.cwd });
    this.ended = once(this.child, 'exit').then(([code, signal]) => ({ code, signal }));
    t.after(() => this.#clean());
    const { stdout, stderr } = this.child;
    assert.ok(stdout !== null && stderr !== null);
    if (options.stdout === undefined) createInterface({ input: stdout }).on('line', (line) => this.output.push(line));
    createInterface({ input: stderr }).on('line', (line) => {
      if (line.startsWith('{"level"')) this.log.push(JSON.parse(line) as LogLine);
      else this.plain.push(line);
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** The first line with this message, as soon as it is there. */
  said(msg: string, isMeant: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    return eventually(`the wrapper says ${msg}; it said ${this.#heard()}`, () =>
      this.log.find((line) => line.msg === msg && isMeant(line)),
    ).catch((error: Error) => {
      throw new Error(`${error.message}; at the end ${this.#heard()}`, { cause: error });
    });
  }

  /** The first output line that matches. */
  printed(pattern: RegExp): Promise<string> {
    return eventually(`the game prints ${pattern}`, () => this.output.find((line) => pattern.test(line)));
  }

  hasSaid(msg: string): boolean {
    return this.log.some((line) => line.msg === msg);
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** The status that a shell would show. */
  async status(): Promise<number> {
    const limit = sleep(patienceMs, undefined, { ref: false }).then(() => {
      throw new Error(`Gave up waiting for the wrapper's end; it said ${this.#heard()}`);
    });
    const { code, signal } = await Promise.race([this.ended, limit]);
    assert.equal(signal, null, `the wrapper was ended by ${signal}`);
    return code ?? -1;
  }

  #heard(): string {
    return [...this.plain, ...this.log.map((line) => line.msg)].join(' | ');
  }

  #clean(): void {
    const game = this.log.find((line) => line.msg === 'Game started')?.['pid'];
    this.child.kill('SIGKILL');
    this.child.stdout?.destroy();
    this.child.stderr?.destroy();
    if (typeof game !== 'number') return;
    try {
      process.kill(-game, 'SIGKILL');
    } catch {
      // It has ended, as it should.
    }
  }
}
