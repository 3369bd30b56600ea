import { setTimeout as delay } from 'node:timers/promises';

/** Time as an argument: tests pass one they move by hand. */
export interface Clock {
  /** Wall-clock time in epoch milliseconds: comparable with the instants that AWS and Kubernetes name. */
  now(): number;
  /** Resolves after `ms`, at most 24.8 days; rejects with an AbortError when the signal aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** setTimeout counts in a signed 32-bit integer and fires at once above it. */
const longestTimerMs = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    delay(Math.min(Math.max(ms, 0), longestTimerMs), undefined, signal === undefined ? {} : { signal }),
};
