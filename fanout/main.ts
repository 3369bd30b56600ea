import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../shared/clock.ts';
import { exitStatus, FatalError } from '../shared/exit-status.ts';
import { connectToKubernetes } from '../shared/kubernetes/connect.ts';
import { errorText, jsonLog } from '../shared/log.ts';
import { startUp } from '../shared/settings/start-up.ts';
import { stderrWriter } from '../shared/stderr-writer.ts';
import { runFanout } from './fanout.ts';
import { type FanoutSettings, fanoutSettings } from './fanout-settings.ts';
import { createSources } from './sources/create-sources.ts';
import { runWorker } from './workers/run-worker-thread.ts';
import { startWorkers } from './workers/start-workers.ts';
import type { WorkerStart } from './workers/worker-message.ts';

const program = {
  name: 'spotable-fanout',
  version: '0.1.0',
  usage: 'spotable-fanout --listen HOST:PORT --upstream HOST:PORT --upstream HOST:PORT [flags]',
  summary:
    'Sends every datagram of a player to all replicas of a game server and recoveries the answers of one of them.',
  footer: [
    'SIGTERM drains: existing sessions are served, new ones are refused. A second SIGTERM ends at once.',
    'Exit status: 0 signal, 64 invalid flag, 69 no native transport, 71 address unavailable, 78 invalid environment.',
  ].join('\n'),
};

const write = stderrWriter('fanout');

// A CommonJS bundle has no top-level await. A rejection ends the process with its stack trace.
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
    // Sockets, timers and workers that have started would keep the process alive.
    process.exit(error instanceof FatalError ? error.status : exitStatus.osError);
  }
}

async function serve(settings: FanoutSettings): Promise<void> {
  const { now } = systemClock;
  const log = jsonLog({ write, now, name: 'fanout', level: settings.logLevel });
  const draining = new AbortController();
  const stopNow = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => (draining.signal.aborted ? stopNow : draining).abort());
  const onLost = () => {
    log.error({}, 'Worker thread died, shutting down');
    process.exitCode = exitStatus.software;
    draining.abort();
    stopNow.abort();
  };
  const file = realpathSync(process.argv[1] ?? '.');
  const workersOptions = { settings, program: { file, onLost }, addonFiles: addonFiles(settings.addon, file), log };
  await runFanout(
    {
      settings,
      clock: systemClock,
      log,
      terminal: { write: (text) => process.stdout.write(text), isTerminal: process.stdout.isTTY },
      sources: await createSources(settings, {
        clock: systemClock,
        log,
        connect: () => connectToKubernetes(process.env),
      }),
      startWorkers: (onRefused) => startWorkers(workersOptions, onRefused),
    },
    { draining: draining.signal, stopNow: stopNow.signal },
  );
}

/** The addon is next to the bundled program, or in `dist/` when run from source. */
function addonFiles(given: string | undefined, programFile: string): readonly string[] {
  if (given !== undefined) return [given];
  const folder = dirname(programFile);
  return [`${folder}/fanout.node`, `${folder}/../dist/fanout.node`];
}
