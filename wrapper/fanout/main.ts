import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemClock } from '../../shared/clock.ts';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { errorText, jsonLog } from '../../shared/log.ts';
import { startUp } from '../../shared/settings/start-up.ts';
import { runFanout } from './fanout.ts';
import { fanoutSettings } from './fanout-settings.ts';
import { relayLimits } from './path/plane-options.ts';
import { startPlane } from './path/start-plane.ts';
import { Counters } from './relay/counters.ts';
import { sourcesOf } from './sources/sources-of.ts';

const program = {
  name: 'spotable-fanout',
  version: '0.1.0',
  usage: 'spotable-fanout --listen HOST:PORT --upstream HOST:PORT --upstream HOST:PORT [flags]',
  summary: 'Sends every datagram of a player to all replicas of a game server and returns the answers of one of them.',
  footer:
    'Exit status: 0 after SIGTERM or SIGINT, 64 wrong flag, 78 wrong environment variable, 71 address not to be had.',
};

const started = startUp(fanoutSettings, program, { argv: process.argv.slice(2), env: process.env });
if (started.kind === 'end') {
  process.stdout.write(started.stdout);
  process.stderr.write(started.stderr);
  process.exitCode = started.status;
} else {
  const { values: settings } = started;
  const { now } = systemClock;
  const log = jsonLog({ write: (line) => process.stderr.write(line), now, name: 'fanout', level: settings.logLevel });
  const draining = new AbortController();
  const hurrying = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => (draining.signal.aborted ? hurrying : draining).abort());
  try {
    await runFanout(
      {
        settings,
        clock: systemClock,
        log,
        sources: sourcesOf(settings, systemClock, log),
        startPlanes: async (onRefused) => [
          await startPlane(
            {
              ...settings,
              isShared: false,
              limits: relayLimits(settings),
              counters: new Counters(),
              onRefused,
              onError: (error) => log.error({ err: errorText(error) }, 'Socket error'),
            },
            { path: settings.path, addonFiles: addonFiles(settings.addon) },
            log,
          ),
        ],
      },
      { draining: draining.signal, hurrying: hurrying.signal },
    );
  } catch (error) {
    process.stderr.write(`${program.name}: ${errorText(error)}\n`);
    process.exitCode = error instanceof FatalError ? error.status : exitStatus.osError;
  }
}

/** Beside the bundle, or where a build from source puts it. */
function addonFiles(given: string | undefined): readonly string[] {
  if (given !== undefined) return [given];
  const folder = dirname(realpathSync(process.argv[1] ?? '.'));
  return [`${folder}/fanout.node`, `${folder}/../../dist/fanout.node`];
}
