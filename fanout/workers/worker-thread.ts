import { Worker } from 'node:worker_threads';
import { FatalError } from '../../shared/exit-status.ts';
import type { Counters } from '../relay/counters.ts';
import type { TransportChoice } from '../workers/start-local-worker.ts';
import type { WorkerOptions } from '../workers/worker-options.ts';
import type { RelayWorker } from './relay-worker.ts';
import type { FromWorker, ToWorker, WorkerStart } from './worker-message.ts';

export interface WorkerProgram {
  /** The program's own file, which each worker thread runs. */
  readonly file: string;
  /** A worker ended without being told to. */
  readonly onLost: () => void;
}

/**
 * Starts a worker in a thread of its own. Rejects with a FatalError if it cannot serve. If a worker dies later, the
 * kernel redistributes all players over the remaining ones, so the caller should end the process.
 */
export async function startWorkerThread(
  { file, onLost }: WorkerProgram,
  options: WorkerOptions,
  choice: TransportChoice,
): Promise<RelayWorker> {
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
        onRefused(message.slot);
        break;
      case 'error':
        onError(new Error(message.message));
        break;
    }
  });
  const port = await listening.promise;
  worker.once('exit', onLost);
  return workerOf(worker, port, counters, ended, onLost);
}

function workerOf(
  worker: Worker,
  port: number,
  counters: Counters,
  ended: Promise<void>,
  onLost: () => void,
): RelayWorker {
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
