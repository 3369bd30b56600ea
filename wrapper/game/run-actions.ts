import { spawn } from 'node:child_process';
import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import type { Action } from '../settings/parse-setting.ts';
import { fillIn, type Placeholders } from './placeholders.ts';
import type { Game } from './start-game.ts';

export interface ActionContext {
  readonly game: Pick<Game, 'console' | 'pid'>;
  /** Returns the processes that the signal reached. */
  readonly send: (signal: NodeJS.Signals) => readonly number[];
  readonly clock: Clock;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly placeholders: () => Placeholders;
  /** Time until the game is killed, which may change. */
  readonly leftMs: () => number;
  /** Aborts when waits have to be skipped. */
  readonly hurry: AbortSignal;
  /** Called for each completed action, with the processes that a signal has reached. */
  readonly onDone: (how: string, pids?: readonly number[]) => void;
}

/** Runs the actions one after the other, until the signal aborts. Logs a failed action and goes on with the next. */
export async function runActions(
  actions: readonly Action[],
  context: ActionContext,
  signal: AbortSignal,
): Promise<void> {
  for (const [index, action] of actions.entries()) {
    if (signal.aborted) return;
    try {
      await runAction(action, actions.slice(index + 1), context, signal);
    } catch (err) {
      if (!signal.aborted) context.log.error({ action: describeAction(action), err }, 'Action failed');
    }
  }
}

/** A wait leaves at least this, or half of the time, to the actions that follow it. */
const minRestMs = 5000;

/**
 * Time limit for an action, so that one that hangs does not keep the next ones from the game: the remaining time, less
 * the waits to come, in equal parts for it and each that follows. The last one has all of it.
 */
export function shareMs(action: Action, following: readonly Action[], leftMs: number): number {
  const others = following.filter(({ kind }) => kind !== 'wait').length;
  if (others === 0) return leftMs;
  if (action.kind === 'wait') return Math.max(leftMs / 2, leftMs - minRestMs);
  const waitsMs = following.reduce((sum, other) => sum + (other.kind === 'wait' ? other.ms : 0), 0);
  return (waitsMs < leftMs ? leftMs - waitsMs : leftMs) / (others + 1);
}

export function describeAction(action: Action): string {
  switch (action.kind) {
    case 'signal':
      return `signal:${action.signal}`;
    case 'stdin':
      return `stdin:${action.text}`;
    case 'exec':
      return `exec:${action.command}`;
    case 'wait':
      return `wait:${action.ms}ms`;
  }
}

async function runAction(
  action: Action,
  following: readonly Action[],
  context: ActionContext,
  signal: AbortSignal,
): Promise<void> {
  const { game, send, clock, hurry, onDone, placeholders } = context;
  switch (action.kind) {
    case 'signal': {
      const pids = send(action.signal);
      if (pids.length > 0) onDone(describeAction(action), pids);
      return;
    }
    case 'stdin':
      await game.console.writeLine(fillIn(action.text, placeholders()));
      onDone(describeAction(action));
      return;
    case 'exec':
      await runCommand(fillIn(action.command, placeholders()), following, context, signal);
      onDone(describeAction(action));
      return;
    case 'wait': {
      const ms = Math.min(action.ms, shareMs(action, following, context.leftMs()));
      await clock.sleep(ms, AbortSignal.any([signal, hurry])).catch(() => {});
      return;
    }
  }
}

/** Throws if the command cannot run, fails, or takes longer than its share of the time. */
async function runCommand(
  command: string,
  following: readonly Action[],
  context: ActionContext,
  signal: AbortSignal,
): Promise<void> {
  const { game, env, log } = context;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const shell = spawn('/bin/sh', ['-c', command], {
    env: { ...env, SPOTABLE_GAME_PID: String(game.pid) },
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  const end = () => {
    // Kill the whole group: `sh -c` may have forked the command.
    if (shell.pid !== undefined && shell.exitCode === null) killGroup(shell.pid, log);
  };
  const over = new AbortController();
  const isOver = AbortSignal.any([signal, over.signal]);
  signal.addEventListener('abort', end, { once: true });
  shell.once('error', reject);
  shell.once('exit', (code, by) =>
    code === 0 ? resolve() : reject(new Error(by === null ? `exit status ${code}` : `ended by ${by}`)),
  );
  if (following.some(({ kind }) => kind !== 'wait'))
    void shareOver(following, context, isOver).then((tookMs) => {
      if (tookMs === undefined) return;
      reject(new Error(`no end after ${Math.round(tookMs)} ms, its share of the time that is left`));
      end();
    });
  await promise.finally(() => {
    over.abort();
    signal.removeEventListener('abort', end);
  });
}

/** Check this often, because a share grows and shrinks with the remaining time. */
const shareCheckMs = 250;

/** Resolves with a command's running time when it has used up its share; with undefined if the signal aborts. */
async function shareOver(
  following: readonly Action[],
  { clock, leftMs }: ActionContext,
  signal: AbortSignal,
): Promise<number | undefined> {
  const begunMs = clock.now();
  for (;;) {
    const tookMs = clock.now() - begunMs;
    const overMs = tookMs - shareMs({ kind: 'exec', command: '' }, following, tookMs + leftMs());
    if (overMs >= 0) return tookMs;
    const isOver = await clock.sleep(Math.min(Math.ceil(-overMs), shareCheckMs), signal).then(
      () => false,
      () => true,
    );
    if (isOver) return undefined;
  }
}

function killGroup(pid: number, log: Log): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (err) {
    log.debug({ err, pid }, 'Action had ended already');
  }
}
