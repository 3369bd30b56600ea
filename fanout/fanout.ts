import type { Clock } from '../shared/clock.ts';
import type { Log } from '../shared/log.ts';
import { ControlPlane } from './election/control-plane.ts';
import { startElectionTimer } from './election/election-timer.ts';
import type { FanoutSettings } from './fanout-settings.ts';
import { sum } from './operations/fanout-metrics.ts';
import { startOperations } from './operations/operations.ts';
import { startTop, type Terminal } from './operations/top.ts';
import type { ReplicaSlot } from './relay/session.ts';
import { runHealthProbe } from './sources/health-probe.ts';
import { followSources, type UpstreamSource } from './sources/source.ts';
import type { RelayWorker } from './workers/relay-worker.ts';

export interface FanoutParts {
  readonly settings: FanoutSettings;
  readonly sources: readonly UpstreamSource[];
  /** Starts the workers. They call `onRefused` when a replica's port is closed. */
  readonly startWorkers: (onRefused: (slot: ReplicaSlot) => void) => Promise<readonly RelayWorker[]>;
  readonly clock: Clock;
  readonly log: Log;
  /** Output of `--top`. */
  readonly terminal: Terminal;
}

/** The first and the second SIGTERM. */
export interface FanoutSignals {
  readonly draining: AbortSignal;
  readonly stopNow: AbortSignal;
}

/**
 * Serves players until `draining` aborts. Existing sessions are then served until the last one ends, the drain time is
 * over, or `stopNow` aborts. Rejects if an address cannot be bound.
 */
export async function runFanout(parts: FanoutParts, { draining, stopNow }: FanoutSignals): Promise<void> {
  const { settings, sources, clock, log } = parts;
  const refusals: { take: (slot: ReplicaSlot) => void } = { take: () => {} };
  const workers = await parts.startWorkers((slot) => refusals.take(slot));
  const control = new ControlPlane({ rules: settings, workers, log, now: clock.now });
  refusals.take = (slot) => control.refused(slot);

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
  const electionTimer = startElectionTimer(control, settings.minSilenceMs);
  const operations = await startOperations({ settings, control, workers, log, electionTimer, draining });
  const stopTop = settings.top ? startTop(operations.stats, parts.terminal) : () => {};
  log.info(
    { listen: settings.listen.host, port: workers[0]?.port, operations: operations.port },
    'Fan-out proxy listening',
  );

  await aborted(draining);
  for (const worker of workers) worker.drain();
  log.info({ sessions: sessionsOf(workers) }, 'Fan-out proxy draining');
  // Not the wall clock: a clock adjustment would cut players off, or exceed the pod's grace period.
  const endsAtMs = performance.now() + settings.drainMs;
  while (sessionsOf(workers) > 0 && performance.now() < endsAtMs && !stopNow.aborted)
    await clock.sleep(Math.min(drainCheckMs, endsAtMs - performance.now()), stopNow).catch(() => {});

  log.info({ sessions: sessionsOf(workers) }, 'Fan-out proxy stopping');
  stopping.abort();
  electionTimer.stop();
  stopTop();
  await Promise.all([following, probing, operations.stop(), ...workers.map((worker) => worker.stop())]);
}

const drainCheckMs = 100;

function sessionsOf(workers: readonly RelayWorker[]): number {
  return sum(
    workers.map(({ counters }) => counters),
    'sessions',
  );
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
