import { Worker } from 'node:worker_threads';
import { FatalError } from '../../shared/exit-status.ts';
import type { PlaneOptions } from '../path/plane-options.ts';
import type { PathChoice } from '../path/start-plane.ts';
import type { Counters } from '../relay/counters.ts';
import type { Plane } from '../relay/plane.ts';
import type { FromWorker, ToWorker, WorkerStart } from './worker-message.ts';

export interface WorkerProgram {
  /** The program's own file: each worker thread runs it. */
  readonly file: string;
  /** A worker ended that nobody had told to. */
  readonly onLost: () => void;
}

/**
 * Starts a plane in a thread of its own, from the program's file. Rejects with a FatalError where it cannot serve. When one
 * dies later the kernel spreads all players anew over those that are left, so the caller should end and begin again.
 */
export async function startWorkerPlane(
  { file, onLost }: WorkerProgram,
  options: PlaneOptions,
  choice: PathChoice,
): Promise<Plane> {
  const { counters, onRefused, onError, ...rest } = options;
  const start: WorkerStart = { options: rest, counters: counters.memory, choice };
  const worker = new Worker(file, { workerData: start, argv: [] });
  const listening = Promise.withResolvers<number>();
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  worker.on('error', (error) => {
    listening.reject(error);
    onError(error);
  });
  worker.on('message', (message: FromWorker) => {
    switch (message.kind) {
      case 'listening':
        listening.resolve(message.port);
        break;
      case 'failed':
        listening.reject(new FatalError(message.message, { status: message.status }));
        break;
      case 'refused':
        onRefused(message.place);
        break;
      case 'error':
        onError(new Error(message.message));
        break;
    }
  });
  const port = await listening.promise;
  worker.once('exit', onLost);
  return planeOf(worker, port, counters, ended, onLost);
}

function planeOf(worker: Worker, port: number, counters: Counters, ended: Promise<void>, onLost: () => void): Plane {
  const tell = (message: ToWorker) => worker.postMessage(message);
  return {
    counters,
    port,
    apply: (view) => tell({ kind: 'view', view }),
    drain: () => tell({ kind: 'drain' }),
    stop: async () => {
      worker.off('exit', onLost);
      tell({ kind: 'stop' });
      await ended;
    },
  };
}
