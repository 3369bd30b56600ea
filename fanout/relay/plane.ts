import type { Counters } from './counters.ts';
import type { View } from './session.ts';

/** One worker's sessions and sockets, as the control plane sees them: in this thread or in another. */
export interface Plane {
  readonly counters: Counters;
  /** The public port it serves. */
  readonly port: number;
  apply(view: View): void;
  /** No new sessions from now on. */
  drain(): void;
  stop(): Promise<void>;
}
