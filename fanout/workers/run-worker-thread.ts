import type { MessagePort } from 'node:worker_threads';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { errorText, silentLog } from '../../shared/log.ts';
import { Counters } from '../relay/counters.ts';
import { startLocalWorker } from '../workers/start-local-worker.ts';
import type { RelayWorker } from './relay-worker.ts';
import type { FromWorker, ToWorker, WorkerStart } from './worker-message.ts';

/** Runs a worker in this thread on behalf of the main thread, until it is told to stop. */
export async function runWorker(port: MessagePort, { options, counters, choice }: WorkerStart): Promise<void> {
  const tell = (message: FromWorker) => port.postMessage(message);
  let worker: RelayWorker;
  try {
    worker = await startLocalWorker(
      {
        ...options,
        counters: new Counters(counters),
        onRefused: (slot) => tell({ kind: 'refused', slot }),
        onError: (error) => tell({ kind: 'error', message: errorText(error) }),
      },
      choice,
      silentLog,
    );
  } catch (error) {
    const status = error instanceof FatalError ? error.status : exitStatus.osError;
    tell({ kind: 'failed', message: errorText(error), status });
    port.close();
    return;
  }
  port.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'view':
        worker.apply(message.view);
        break;
      case 'drain':
        worker.drain();
        break;
      case 'stop':
        void worker.stop().then(() => port.close());
        break;
    }
  });
  tell({ kind: 'listening', port: worker.port });
}
