import { descriptorLimit } from '../../shared/descriptor-limit.ts';
import { errorText, type Log } from '../../shared/log.ts';
import type { FanoutSettings } from '../fanout-settings.ts';
import { suppressRepeats } from '../operations/suppress-repeats.ts';
import { Counters } from '../relay/counters.ts';
import type { ReplicaSlot } from '../relay/session.ts';
import { startLocalWorker, type TransportChoice } from '../workers/start-local-worker.ts';
import { relayLimits, type WorkerOptions } from '../workers/worker-options.ts';
import type { RelayWorker } from './relay-worker.ts';
import { startWorkerThread, type WorkerProgram } from './worker-thread.ts';

export interface WorkersOptions {
  readonly settings: FanoutSettings;
  readonly program: WorkerProgram;
  readonly addonFiles: readonly string[];
  readonly log: Log;
}

/** Reserved for health checks, metrics, sources and Node itself. */
const otherDescriptors = 256;

/** A process without free descriptors cannot answer its liveness probe and would be killed with all its players. */
function maxSockets(workers: number): number {
  const limit = descriptorLimit();
  return Math.floor((limit - Math.min(otherDescriptors, limit / 4)) / workers);
}

/**
 * Starts one worker in this thread, or several in threads of their own. The first of several binds the port, so that
 * port 0 gives all of them the same one. The kernel then distributes players over the workers by address.
 */
export async function startWorkers(
  options: WorkersOptions,
  onRefused: (slot: ReplicaSlot) => void,
): Promise<readonly RelayWorker[]> {
  const { settings, program, addonFiles, log } = options;
  const isShared = settings.workers > 1;
  const choice: TransportChoice = { transport: settings.transport, addonFiles };
  const { listen, upstreamAddresses, gsoMaxBytes } = settings;
  const onError = suppressRepeats(
    (error) => log.error({ err: errorText(error) }, 'Socket error'),
    () => performance.now(),
  );
  const workerOptions = (): WorkerOptions => ({
    listen,
    upstreamAddresses,
    gsoMaxBytes,
    maxSockets: maxSockets(settings.workers),
    isShared,
    limits: relayLimits(settings),
    counters: new Counters(),
    onRefused,
    onError,
  });
  if (!isShared) return [await startLocalWorker(workerOptions(), choice, log)];
  const first = await startWorkerThread(program, workerOptions(), choice);
  const port = first.port;
  const others = Array.from({ length: settings.workers - 1 }, () => {
    const own = workerOptions();
    return startWorkerThread(program, { ...own, listen: { ...listen, port } }, choice);
  });
  return [first, ...(await Promise.all(others))];
}
