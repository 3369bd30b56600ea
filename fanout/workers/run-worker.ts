import type { MessagePort } from 'node:worker_threads';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { errorText, silentLog } from '../../shared/log.ts';
import { startPlane } from '../path/start-plane.ts';
import { Counters } from '../relay/counters.ts';
import type { Plane } from '../relay/plane.ts';
import type { FromWorker, ToWorker, WorkerStart } from './worker-message.ts';

/** A worker thread's whole life: one plane, told what to do by the main thread until it says stop. */
export async function runWorker(port: MessagePort, { options, counters, choice }: WorkerStart): Promise<void> {
  const tell = (message: FromWorker) => port.postMessage(message);
  let plane: Plane;
  try {
    plane = await startPlane(
      {
        ...options,
        counters: new Counters(counters),
        onRefused: (place) => tell({ kind: 'refused', place }),
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
        plane.apply(message.view);
        break;
      case 'drain':
        plane.drain();
        break;
      case 'stop':
        void plane.stop().then(() => port.close());
        break;
    }
  });
  tell({ kind: 'listening', port: plane.port });
}
