import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../shared/clock.ts';
import { exitStatus, FatalError } from '../shared/exit-status.ts';
import { errorText, jsonLog } from '../shared/log.ts';
import { startUp } from '../shared/settings/start-up.ts';
import { stderrWriter } from '../shared/stderr-writer.ts';
import { runFanout } from './fanout.ts';
import { type FanoutSettings, fanoutSettings } from './fanout-settings.ts';
import { sourcesOf } from './sources/sources-of.ts';
import { runWorker } from './workers/run-worker.ts';
import { startPlanes } from './workers/start-planes.ts';
import type { WorkerStart } from './workers/worker-message.ts';

const program = {
  name: 'spotable-fanout',
  version: '0.1.0',
  usage: 'spotable-fanout --listen HOST:PORT --upstream HOST:PORT --upstream HOST:PORT [flags]',
  summary: 'Sends every datagram of a player to all replicas of a game server and returns the answers of one of them.',
  footer: [
    'SIGTERM drains: players who have a session are served on, new ones are not; a second one ends at once.',
    'Exit status: 0 ended by a signal, 64 wrong flag, 69 no fast path, 71 address not to be had, 78 wrong environment.',
  ].join('\n'),
};

const write = stderrWriter('fanout');

// Not awaited here: a CommonJS bundle has no top-level await. A bug rejects, and so ends the process with its stack.
if (isMainThread) void main();
else if (parentPort !== null) void runWorker(parentPort, workerData as WorkerStart);

async function main(): Promise<void> {
  const started = startUp(fanoutSettings, program, { argv: process.argv.slice(2), env: process.env });
  if (started.kind === 'end') {
    process.stdout.write(started.stdout);
    write(started.stderr);
    process.exitCode = started.status;
    return;
  }
  try {
    await serve(started.values);
  } catch (error) {
    write(`${program.name}: ${errorText(error)}\n`);
    // Whatever has started holds the process open: sockets, timers, workers.
    process.exit(error instanceof FatalError ? error.status : exitStatus.osError);
  }
}

async function serve(settings: FanoutSettings): Promise<void> {
  const { now } = systemClock;
  const log = jsonLog({ write, now, name: 'fanout', level: settings.logLevel });
  const draining = new AbortController();
  const hurrying = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => (draining.signal.aborted ? hurrying : draining).abort());
  const onLost = () => {
    log.error({}, 'Worker lost: ending, because its players are');
    process.exitCode = exitStatus.software;
    draining.abort();
    hurrying.abort();
  };
  const file = realpathSync(process.argv[1] ?? '.');
  const planesOptions = { settings, program: { file, onLost }, addonFiles: addonFiles(settings.addon, file), log };
  await runFanout(
    {
      settings,
      clock: systemClock,
      log,
      terminal: { write: (text) => process.stdout.write(text), isTerminal: process.stdout.isTTY },
      sources: sourcesOf(settings, systemClock, log),
      startPlanes: (onRefused) => startPlanes(planesOptions, onRefused),
    },
    { draining: draining.signal, hurrying: hurrying.signal },
  );
}

/** Beside the program, or where a build from source puts it. */
function addonFiles(given: string | undefined, programFile: string): readonly string[] {
  if (given !== undefined) return [given];
  const folder = dirname(programFile);
  return [`${folder}/fanout.node`, `${folder}/../dist/fanout.node`];
}
