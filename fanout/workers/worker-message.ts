import type { PlaneOptions } from '../path/plane-options.ts';
import type { PathChoice } from '../path/start-plane.ts';
import type { Place, View } from '../relay/session.ts';

/** What the main thread gives a worker to start with; it is copied between threads, the memory is shared. */
export interface WorkerStart {
  readonly options: Omit<PlaneOptions, 'counters' | 'onRefused' | 'onError'>;
  readonly counters: SharedArrayBuffer;
  readonly choice: PathChoice;
}

export type ToWorker =
  | { readonly kind: 'view'; readonly view: View }
  | { readonly kind: 'drain' }
  | { readonly kind: 'stop' };

export type FromWorker =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'failed'; readonly message: string; readonly status: number }
  | { readonly kind: 'refused'; readonly place: Place }
  | { readonly kind: 'error'; readonly message: string };
