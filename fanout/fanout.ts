import type { Clock } from '../shared/clock.ts';
import type { Log } from '../shared/log.ts';
import { ControlPlane } from './election/control-plane.ts';
import { startTicking } from './election/ticking.ts';
import type { FanoutSettings } from './fanout-settings.ts';
import { startOperations } from './operations/operations.ts';
import { sum } from './operations/prometheus.ts';
import { startTop, type Terminal } from './operations/top.ts';
import type { Plane } from './relay/plane.ts';
import type { Place } from './relay/session.ts';
import { runHealthProbe } from './sources/health-probe.ts';
import { followSources, type UpstreamSource } from './sources/source.ts';

export interface FanoutParts {
  readonly settings: FanoutSettings;
  readonly sources: readonly UpstreamSource[];
  /** Starts the workers; they call `onRefused` when a replica's port is closed. */
  readonly startPlanes: (onRefused: (place: Place) => void) => Promise<readonly Plane[]>;
  readonly clock: Clock;
  readonly log: Log;
  /** Where `--top` writes. */
  readonly terminal: Terminal;
}

/** SIGTERM, and the second one. */
export interface FanoutSignals {
  readonly draining: AbortSignal;
  readonly hurrying: AbortSignal;
}

/**
 * Serves players until `draining` aborts, then those who have a session until the last has gone, the drain time is over, or
 * `hurrying` aborts. Rejects where an address cannot be had.
 */
export async function runFanout(parts: FanoutParts, { draining, hurrying }: FanoutSignals): Promise<void> {
  const { settings, sources, clock, log } = parts;
  const refusals: { take: (place: Place) => void } = { take: () => {} };
  const planes = await parts.startPlanes((place) => refusals.take(place));
  const control = new ControlPlane({ rules: settings, planes, log, now: clock.now });
  refusals.take = (place) => control.refused(place);

  const stopping = new AbortController();
  const following = followSources(sources, (upstreams) => control.setUpstreams(upstreams), stopping.signal);
  const probing =
    settings.probe === undefined
      ? undefined
      : runHealthProbe(
          {
            probe: settings.probe,
            intervalMs: settings.probeIntervalMs,
            clock,
            replicas: () => control.upstreams,
            report: (id, isHealthy) => control.setHealth(id, isHealthy),
          },
          stopping.signal,
        );
  const ticking = startTicking(control, settings.minSilenceMs);
  const operations = await startOperations({ settings, control, planes, log, ticking, draining });
  const stopTop = settings.top ? startTop(operations.figures, parts.terminal) : () => {};
  log.info(
    { listen: settings.listen.host, port: planes[0]?.port, operations: operations.port },
    'Fan-out proxy serves',
  );

  await aborted(draining);
  for (const plane of planes) plane.drain();
  log.info({ sessions: sessionsOf(planes) }, 'Fan-out proxy drains');
  // Not by the wall clock: whoever sets it would cut players off, or outstay the kubelet's grace.
  const endsAtMs = performance.now() + settings.drainMs;
  while (sessionsOf(planes) > 0 && performance.now() < endsAtMs && !hurrying.aborted)
    await clock.sleep(Math.min(drainCheckMs, endsAtMs - performance.now()), hurrying).catch(() => {});

  log.info({ sessions: sessionsOf(planes) }, 'Fan-out proxy ends');
  stopping.abort();
  ticking.stop();
  stopTop();
  await Promise.all([following, probing, operations.stop(), ...planes.map((plane) => plane.stop())]);
}

const drainCheckMs = 100;

function sessionsOf(planes: readonly Plane[]): number {
  return sum(
    planes.map(({ counters }) => counters),
    'sessions',
  );
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
