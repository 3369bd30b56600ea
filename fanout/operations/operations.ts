import type { AddressInfo } from 'node:net';
import { closeHttpServer } from '../../shared/http/http-server.ts';
import { errorText, type Log } from '../../shared/log.ts';
import type { ControlPlane } from '../election/control-plane.ts';
import type { ElectionTimer } from '../election/election-timer.ts';
import type { FanoutSettings } from '../fanout-settings.ts';
import type { RelayWorker } from '../workers/relay-worker.ts';
import { type FanoutStats, fanoutMetrics, sum } from './fanout-metrics.ts';
import { startOperationsServer, TcpHealth } from './operations-server.ts';

export interface OperationsParts {
  readonly settings: FanoutSettings;
  readonly control: ControlPlane;
  readonly workers: readonly RelayWorker[];
  readonly log: Log;
  readonly electionTimer: ElectionTimer;
  readonly draining: AbortSignal;
}

export interface Operations {
  readonly port: number;
  readonly stats: () => FanoutStats;
  stop(): Promise<void>;
}

const readinessCheckMs = 200;
/** Ticks are milliseconds apart: after this time without one, the event loop is stuck. */
const stuckAfterMs = 5000;

/** Starts the probes, the metrics and the load balancer's TCP health check. */
export async function startOperations(parts: OperationsParts): Promise<Operations> {
  const { settings, control, workers, electionTimer, draining } = parts;
  const counters = workers.map((worker) => worker.counters);
  const whyNotReady = () => {
    if (draining.aborted) return 'draining';
    return control.primaryId === undefined ? 'no replica is ready' : undefined;
  };
  const stats = (): FanoutStats => ({
    workers: counters,
    replicas: control.replicas,
    changes: control.changes,
    isReady: whyNotReady() === undefined,
    isDraining: draining.aborted,
  });
  const server = await startOperationsServer(settings.operations, {
    metrics: fanoutMetrics(stats),
    whyNotReady,
    isLive: () => electionTimer.sinceLastTickMs() < stuckAfterMs,
    status: () => ({
      primary: control.primaryId ?? null,
      sessions: sum(counters, 'sessions'),
      ready: whyNotReady() === undefined,
      replicas: control.replicas,
    }),
  });
  const stopHealth = startTcpHealth(parts, () => whyNotReady() === undefined);
  return {
    port: (server.address() as AddressInfo).port,
    stats,
    stop: async () => {
      await stopHealth();
      await closeHttpServer(server);
    },
  };
}

/** Opens and closes the TCP port with readiness. Returns the function that stops it. */
function startTcpHealth({ settings, log }: OperationsParts, isReady: () => boolean): () => Promise<void> {
  if (settings.tcpHealth === undefined) return async () => {};
  const health = new TcpHealth(settings.tcpHealth);
  let hasFailed = false;
  let running = Promise.resolve();
  const follow = (wanted: boolean) => {
    running = running
      .then(() => health.set(wanted))
      .then(() => {
        hasFailed = false;
      })
      .catch((error: unknown) => {
        if (!hasFailed) log.error({ err: errorText(error) }, 'Cannot open the TCP health port');
        hasFailed = true;
      });
  };
  const timer = setInterval(() => follow(isReady()), readinessCheckMs);
  follow(isReady());
  return async () => {
    clearInterval(timer);
    follow(false);
    await running;
  };
}
