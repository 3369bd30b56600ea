import { createHash } from 'node:crypto';
import type { Clock } from '../../shared/clock.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import type { Log } from '../../shared/log.ts';
import { serveHealth } from '../../shared/operations/health-server.ts';
import { Allocator } from '../allocation/allocator.ts';
import { Taken } from '../allocation/taken.ts';
import { ClusterView } from '../cluster/cluster-view.ts';
import type { GameServerPod } from '../cluster/game-server-pod.ts';
import type { ServeConfig } from '../config.ts';
import { writeDeploymentEvent } from '../loop/deployment-events.ts';
import { Lease } from '../loop/lease.ts';
import { runLoop } from '../loop/loop.ts';
import { SessionProtection } from '../session-protection.ts';
import { AllocationDoor } from './allocation-door.ts';
import { Desk } from './desk.ts';
import type { FleetMetrics } from './metrics.ts';
import { serveAllocations } from './serve-allocations.ts';

export interface ServeParts {
  readonly config: ServeConfig;
  readonly connection: KubeConnection;
  readonly metrics: FleetMetrics;
  readonly clock: Clock;
  readonly log: Log;
}

const leaseName = 'spotable-fleet';

/**
 * One replica's process: watches and allocates, and while it holds the lease does the work of the one leader. Rejects
 * with a FatalError.
 */
export async function serve(parts: ServeParts, asked: AbortSignal): Promise<void> {
  const { config, connection, metrics, clock, log } = parts;
  const { namespace, identity } = config;
  const stop = new AbortController();
  const { signal } = stop;
  const view = new ClusterView({ connection, namespace, clock, log });
  const protection = new SessionProtection({ connection, clock, log });
  const lease = new Lease({ connection, namespace, name: leaseName, identity, clock, log });
  const taken = new Taken();
  const allocator = new Allocator({
    ...{ connection, view, taken, clock, log },
    isProtected: () => protection.isThere,
    compareEquals: ranking(identity),
    random: Math.random,
    onConflict: () => metrics.conflict(),
  });
  const desk = new Desk({
    ...{ allocator, clock, log },
    maxMs: config.allocationMs,
    onOutcome: (outcome, ms) => metrics.allocated(outcome, ms),
  });
  const whyNotReady = () => (view.isComplete ? undefined : `not seen yet: ${view.missing.join(', ')}`);
  const door = new AllocationDoor({ desk, namespace, node: (name) => view.nodes.get(name), whyNotReady });
  metrics.watch({
    state: view,
    isLeader: () => lease.isHeld,
    isProtected: () => protection.isThere,
    waiting: () => desk.waiting,
  });
  const running = [
    view.follow(signal),
    protection.run(signal),
    lease.run(signal),
    forgetGone(taken, view, clock, signal),
    runLoop(
      {
        ...{ connection, view, lease, clock, log },
        activationMs: config.activationMs,
        onStep: (step) => metrics.step(step),
        onEvent: (fleet, reason, message) =>
          void writeDeploymentEvent({ connection, clock, log }, fleet, reason, message, signal),
      },
      signal,
    ),
    serveAllocations(
      { ...config.listen, tls: tlsOf(config), answer: (...both) => door.answer(...both), clock, log },
      signal,
    ),
    serveHealth(
      {
        port: config.metricsPort,
        ...{ clock, log },
        metrics: async () => ({ contentType: metrics.registry.contentType, body: await metrics.registry.metrics() }),
        liveness: () => [],
        readiness: () => [whyNotReady(), asked.aborted ? 'asked to end' : undefined].filter((why) => why !== undefined),
        remarks: () => (protection.missing === undefined ? [] : [`sessions wait to be safe: ${protection.missing}`]),
      },
      signal,
    ),
    endWhenAsked(config, clock, asked, stop),
  ];
  try {
    await Promise.all(running);
  } finally {
    stop.abort();
    await Promise.allSettled(running);
  }
}

function tlsOf({ tlsDirectory, clientCaDirectory, disableMtls }: ServeConfig) {
  if (tlsDirectory === undefined) return undefined;
  return { tlsDirectory, clientCaDirectory: disableMtls ? undefined : clientCaDirectory };
}

/**
 * Orders pods differently on each replica: with the same order two replicas would choose the same game server at the
 * same time, and one of them in vain.
 */
function ranking(identity: string): (a: GameServerPod, b: GameServerPod) => number {
  const rank = ({ uid }: GameServerPod) => createHash('md5').update(identity).update(uid).digest('hex');
  const known = new Map<string, string>();
  const rankOf = (pod: GameServerPod): string => {
    const found = known.get(pod.uid);
    if (found !== undefined) return found;
    if (known.size >= maxRanks) known.clear();
    const made = rank(pod);
    known.set(pod.uid, made);
    return made;
  };
  return (a, b) => (rankOf(a) < rankOf(b) ? -1 : 1);
}

const maxRanks = 20_000;
const forgetMs = 60_000;

async function forgetGone(taken: Taken, view: ClusterView, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(forgetMs, signal).catch(() => {});
    taken.keepOnly(view.pods);
  }
}

/** Become unready first, because requests on their way still reach us. */
async function endWhenAsked(
  { shutdownMs }: ServeConfig,
  clock: Clock,
  asked: AbortSignal,
  stop: AbortController,
): Promise<void> {
  await new Promise<void>((resolve) => {
    if (asked.aborted || stop.signal.aborted) return resolve();
    asked.addEventListener('abort', () => resolve(), { once: true });
    stop.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await clock.sleep(shutdownMs, stop.signal).catch(() => {});
  stop.abort();
}
