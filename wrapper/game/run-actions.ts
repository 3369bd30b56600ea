import { spawn } from 'node:child_process';
import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import type { Action } from '../settings/parse-setting.ts';
import { fillIn, type Placeholders } from './placeholders.ts';
import type { Game } from './start-game.ts';

export interface ActionContext {
  readonly game: Pick<Game, 'signal' | 'console' | 'pid'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly placeholders: () => Placeholders;
  /** Aborts when nothing is to be waited for any more. */
  readonly hurry: AbortSignal;
  /** Hears of each action that was done. */
  readonly onDone: (how: string) => void;
}

/** Runs the actions one after the other, until the signal aborts. What fails is said in the log, and the next one follows. */
export async function runActions(
  actions: readonly Action[],
  context: ActionContext,
  signal: AbortSignal,
): Promise<void> {
  for (const action of actions) {
    if (signal.aborted) return;
    try {
      await runAction(action, context, signal);
    } catch (err) {
      if (!signal.aborted) context.log.error({ action: describeAction(action), err }, 'Action failed');
    }
  }
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

async function runAction(action: Action, context: ActionContext, signal: AbortSignal): Promise<void> {
  const { game, clock, hurry, onDone, placeholders } = context;
  switch (action.kind) {
    case 'signal':
      if (game.signal(action.signal)) onDone(describeAction(action));
      return;
    case 'stdin':
      await game.console.writeLine(fillIn(action.text, placeholders()));
      onDone(describeAction(action));
      return;
    case 'exec':
      await runCommand(fillIn(action.command, placeholders()), context, signal);
      onDone(describeAction(action));
      return;
    case 'wait':
      await clock.sleep(action.ms, AbortSignal.any([signal, hurry])).catch(() => {});
      return;
  }
}

/** Throws where the command cannot run or fails. */
async function runCommand(command: string, { game, env, log }: ActionContext, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const shell = spawn('/bin/sh', ['-c', command], {
    env: { ...env, SPOTABLE_GAME_PID: String(game.pid) },
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  const onAbort = () => {
    // Its whole group: `sh -c` may have forked the command.
    if (shell.pid !== undefined && shell.exitCode === null) killGroup(shell.pid, log);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  shell.once('error', reject);
  shell.once('exit', (code, by) =>
    code === 0 ? resolve() : reject(new Error(by === null ? `exit status ${code}` : `ended by ${by}`)),
  );
  await promise.finally(() => signal.removeEventListener('abort', onAbort));
}

function killGroup(pid: number, log: Log): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (err) {
    log.debug({ err, pid }, 'Action had ended already');
  }
}
