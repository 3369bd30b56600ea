import type { Counters } from '../relay/counters.ts';
import type { View } from '../relay/session.ts';

/** One worker's sessions and sockets, in this thread or another. */
export interface RelayWorker {
  readonly counters: Counters;
  /** The public port. */
  readonly port: number;
  apply(view: View): void;
  /** Refuses new sessions from now on. */
  drain(): void;
  stop(): Promise<void>;
}
