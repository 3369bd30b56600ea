import type { ReplicaSlot, View } from '../relay/session.ts';
import type { TransportChoice } from '../workers/start-local-worker.ts';
import type { WorkerOptions } from '../workers/worker-options.ts';

/** A worker thread's start parameters. They are copied between the threads; the counters' memory is shared. */
export interface WorkerStart {
  readonly options: Omit<WorkerOptions, 'counters' | 'onRefused' | 'onError'>;
  readonly counters: SharedArrayBuffer;
  readonly choice: TransportChoice;
}

export type ToWorker =
  | { readonly kind: 'view'; readonly view: View }
  | { readonly kind: 'drain' }
  | { readonly kind: 'stop' };

export type FromWorker =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'failed'; readonly message: string; readonly status: number }
  | { readonly kind: 'refused'; readonly slot: ReplicaSlot }
  | { readonly kind: 'error'; readonly message: string };
