import type { Clock } from '../shared/clock.ts';
import type { Log } from '../shared/log.ts';
import type { ForwardedSignal } from './signal-numbers.ts';

/** The wrapper's dependencies on the world around it. */
export interface WrapperContext {
  readonly gameServerId: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly temporaryDirectory: string;
  /** Our own process and its parent. */
  readonly pid: number;
  readonly ppid: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** Milliseconds since this process began. */
  readonly upMs: () => number;
  /** Calls back with each signal that this process gets from now on. */
  readonly onSignal: (listener: (signal: ForwardedSignal) => void) => void;
}
