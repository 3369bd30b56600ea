import type { AddressInfo } from 'node:net';
import { errorText, type Log } from '../../shared/log.ts';
import type { ControlPlane } from '../election/control-plane.ts';
import type { Ticking } from '../election/ticking.ts';
import type { FanoutSettings } from '../fanout-settings.ts';
import type { Plane } from '../relay/plane.ts';
import { startOperationsServer, TcpHealth } from './operations-server.ts';
import { type Figures, formatMetrics, sum } from './prometheus.ts';

export interface OperationsParts {
  readonly settings: FanoutSettings;
  readonly control: ControlPlane;
  readonly planes: readonly Plane[];
  readonly log: Log;
  readonly ticking: Ticking;
  readonly draining: AbortSignal;
}

export interface Operations {
  readonly port: number;
  readonly figures: () => Figures;
  stop(): Promise<void>;
}

const readinessCheckMs = 200;
/** Without a tick for so long the process is stuck: the next one should have come within milliseconds. */
const stuckAfterMs = 5000;

/** What people and machines outside see of the proxy: probes, metrics, the load balancer's TCP check. */
export async function startOperations(parts: OperationsParts): Promise<Operations> {
  const { settings, control, planes, ticking, draining } = parts;
  const workers = planes.map(({ counters }) => counters);
  const whyNotReady = () => {
    if (draining.aborted) return 'draining';
    return control.primaryId === undefined ? 'no replica is ready' : undefined;
  };
  const figures = (): Figures => ({
    workers,
    replicas: control.replicas,
    changes: control.changes,
    isReady: whyNotReady() === undefined,
    isDraining: draining.aborted,
  });
  const server = await startOperationsServer(settings.operations, {
    metrics: () => formatMetrics(figures()),
    whyNotReady,
    isLive: () => ticking.sinceLastMs() < stuckAfterMs,
    status: () => ({
      primary: control.primaryId ?? null,
      sessions: sum(workers, 'sessions'),
      ready: whyNotReady() === undefined,
      replicas: control.replicas,
    }),
  });
  const stopHealth = startTcpHealth(parts, () => whyNotReady() === undefined);
  return {
    port: (server.address() as AddressInfo).port,
    figures,
    stop: async () => {
      await stopHealth();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Opens and closes the TCP port as readiness comes and goes; returns what ends it. */
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
