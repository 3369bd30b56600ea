import { descriptorLimit } from '../../shared/descriptor-limit.ts';
import { errorText, type Log } from '../../shared/log.ts';
import type { FanoutSettings } from '../fanout-settings.ts';
import { quietly } from '../operations/quietly.ts';
import { type PlaneOptions, relayLimits } from '../path/plane-options.ts';
import { type PathChoice, startPlane } from '../path/start-plane.ts';
import { Counters } from '../relay/counters.ts';
import type { Plane } from '../relay/plane.ts';
import type { Place } from '../relay/session.ts';
import { startWorkerPlane, type WorkerProgram } from './worker-plane.ts';

export interface PlanesOptions {
  readonly settings: FanoutSettings;
  readonly program: WorkerProgram;
  readonly addonFiles: readonly string[];
  readonly log: Log;
}

/** For health checks, metrics, sources and Node itself. */
const otherDescriptors = 256;

/** A process that has no descriptor left cannot answer its liveness probe, and would be killed with all its players. */
function maxSockets(workers: number): number {
  const limit = descriptorLimit();
  return Math.floor((limit - Math.min(otherDescriptors, limit / 4)) / workers);
}

/**
 * One plane in this thread, or one a worker. With several the first binds the port, so that port 0 gives all of them the same
 * one, and the kernel then spreads players over them by address.
 */
export async function startPlanes(
  options: PlanesOptions,
  onRefused: (place: Place) => void,
): Promise<readonly Plane[]> {
  const { settings, program, addonFiles, log } = options;
  const isShared = settings.workers > 1;
  const choice: PathChoice = { path: settings.path, addonFiles };
  const { listen, upstreamAddresses, trainBytes } = settings;
  const onError = quietly(
    (error) => log.error({ err: errorText(error) }, 'Socket error'),
    () => performance.now(),
  );
  const planeOptions = (): PlaneOptions => ({
    listen,
    upstreamAddresses,
    trainBytes,
    maxSockets: maxSockets(settings.workers),
    isShared,
    limits: relayLimits(settings),
    counters: new Counters(),
    onRefused,
    onError,
  });
  if (!isShared) return [await startPlane(planeOptions(), choice, log)];
  const first = await startWorkerPlane(program, planeOptions(), choice);
  const port = first.port;
  const others = Array.from({ length: settings.workers - 1 }, () => {
    const own = planeOptions();
    return startWorkerPlane(program, { ...own, listen: { ...listen, port } }, choice);
  });
  return [first, ...(await Promise.all(others))];
}
