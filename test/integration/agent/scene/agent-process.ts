import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { compileCache } from '../../../compile-cache.ts';
import { eventually } from './eventually.ts';

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string; readonly time: number };

const entry = new URL('../../../../agent/main.ts', import.meta.url).pathname;

/** An agent as a process of its own, and what it says. */
export class AgentProcess {
  readonly #child: ChildProcess;
  readonly #log: Interface;
  /** Every line of its log. */
  readonly lines: LogLine[] = [];
  /** Lines on stderr that are no log. */
  readonly problems: string[] = [];

  constructor(
    env: Readonly<Record<string, string>>,
    args: readonly string[] = [],
    command: readonly string[] = [entry],
  ) {
    this.#child = spawn(process.execPath, [...command, ...args], {
      // Nothing of the surroundings, so that no credentials or settings of this machine decide a test.
      env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...compileCache, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    // A test that is cut short leaves no agent behind.
    const onExit = () => this.#child.kill('SIGKILL');
    process.once('exit', onExit);
    this.#child.once('exit', () => process.off('exit', onExit));
    if (this.#child.stderr === null) throw new Error('The agent has no stderr');
    this.#log = createInterface({ input: this.#child.stderr });
    this.#log.on('line', (line) => {
      if (line.startsWith('{')) this.lines.push(JSON.parse(line) as LogLine);
      else this.problems.push(line);
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Nobody reads what it says any more, until it is thawed. */
  freezeLog(isFrozen: boolean): void {
    if (this.hasExited) return;
    if (isFrozen) this.#log.pause();
    else this.#log.resume();
  }

  said(msg: string): readonly LogLine[] {
    return this.lines.filter((line) => line.msg === msg);
  }

  /** The first such line, as soon as it is there. */
  says(msg: string, matches: (line: LogLine) => boolean = () => true, withinMs?: number): Promise<LogLine> {
    const story = () =>
      `agent says ${msg}; it said:\n${this.lines.map((line) => JSON.stringify(line)).join('\n')}${this.problems.join('\n')}`;
    return eventually(story, () => this.said(msg).find(matches), withinMs);
  }

  /** The port of its metrics. */
  async port(): Promise<number> {
    return Number((await this.says('Metrics server listening'))['port']);
  }

  async get(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(`http://127.0.0.1:${await this.port()}${path}`, { signal: AbortSignal.timeout(5000) });
    return { status: response.status, text: await response.text() };
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Its exit code, or the signal that ended it. */
  async exit(): Promise<number | NodeJS.Signals> {
    if (!this.hasExited) await once(this.#child, 'exit');
    return this.#child.exitCode ?? this.#child.signalCode ?? 'SIGKILL';
  }

  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | NodeJS.Signals> {
    this.#child.kill(signal);
    return this.exit();
  }
}
