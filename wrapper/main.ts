import { readFileSync } from 'node:fs';
import { systemClock } from '../shared/clock.ts';
import { exitStatus, FatalError } from '../shared/exit-status.ts';
import { errorText, jsonLog } from '../shared/log.ts';
import { type ProgramText, startUp } from '../shared/settings/start-up.ts';
import { stderrWriter } from '../shared/stderr-writer.ts';
import { nameGameServer } from './game-server-id.ts';
import { exitStatusOf } from './life/lifecycle.ts';
import { contradictions, type WrapperConfig } from './settings/config.ts';
import { wrapperSettings } from './settings/wrapper-settings.ts';
import { type ForwardedSignal, forwardedSignals } from './signal-numbers.ts';
import { serveGame } from './wrapper.ts';

const program: ProgramText = {
  name: 'spotable-wrapper',
  version: '0.1.0',
  usage: 'spotable-wrapper [flags] -- GAME [ARG...]',
  summary: 'Runs a game server on a spot instance: leases its ports, tells the inventory, ends it in time.',
  footer: [
    'The game gets each port as the environment variable NAME, and {NAME} is filled in in its arguments, templates and',
    "actions. Exit status: the game's own, 128+n after signal n, 126 not executable, 127 not found, 64-78 our own errors.",
  ].join('\n'),
};

const write = stderrWriter('wrapper');

/** Whether a signal to end has ever arrived. */
let isToEnd = false;

function onSignal(listener: (signal: ForwardedSignal) => void): void {
  for (const name of Object.keys(forwardedSignals) as ForwardedSignal[])
    process.on(name, () => {
      isToEnd ||= name === 'SIGTERM' || name === 'SIGINT';
      listener(name);
    });
}

/** Node reaps only children that it started itself. */
const firstProcess = 1;

/** Avoid node:os: loading it costs a wrapper a millisecond. */
function hostName(): string {
  try {
    return readFileSync('/proc/sys/kernel/hostname', 'utf8').trim();
  } catch {
    return 'game-server';
  }
}

async function run(config: WrapperConfig, command: readonly string[]): Promise<number> {
  const gameServerId = nameGameServer(config.podName ?? hostName(), Math.random);
  const log = jsonLog({ write, now: Date.now, name: 'wrapper', fields: { gameServerId } });
  if (process.pid === firstProcess) log.warn({}, 'Running as PID 1: orphans are not reaped; put tini in front');
  const { life, restarts, left } = await serveGame(config, command, {
    gameServerId,
    env: process.env,
    temporaryDirectory: process.env['TMPDIR'] || '/tmp',
    pid: process.pid,
    ppid: process.ppid,
    clock: systemClock,
    log,
    random: Math.random,
    // Avoid `performance`: it would be loaded for this alone.
    upMs: () => process.uptime() * 1000,
    onSignal,
  });
  if (restarts) await startAgain(left);
  return exitStatusOf(life);
}

const reapLimitMs = 1000;

/**
 * The same process becomes a new game server, so its parent sees one process that goes on. Returns if a signal to end
 * arrives.
 */
async function startAgain(left: () => Promise<void>): Promise<void> {
  // Wait for these children: a new program in this process would not know of them and would never reap them.
  await Promise.race([left(), systemClock.sleep(reapLimitMs)]);
  // Node delivers signals between two turns of the event loop.
  await new Promise(setImmediate);
  if (isToEnd) return;
  process.execve?.(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], process.env);
}

function explain(error: unknown): number {
  write(`${program.name}: ${errorText(error)}\n`);
  return error instanceof FatalError ? error.status : exitStatus.software;
}

async function main(): Promise<number> {
  const started = startUp(wrapperSettings, program, {
    argv: process.argv.slice(2),
    env: process.env,
    takesCommand: true,
  });
  if (started.kind === 'end') {
    process.stdout.write(started.stdout);
    write(started.stderr);
    return started.status;
  }
  const problems = contradictions(started.values, started.rest);
  for (const problem of problems) write(`${program.name}: ${problem}\n`);
  return problems.length > 0 ? exitStatus.usage : run(started.values, started.rest);
}

// Exit by force: anything still open (a keep-alive connection, a half-read pipe) must not hold the pod.
void main()
  .catch(explain)
  .then((status) => process.exit(status));
