/** Time as an argument: tests pass a clock that they control. */
export interface Clock {
  /** Wall-clock time in epoch milliseconds, comparable with instants of AWS and Kubernetes. */
  now(): number;
  /** Resolves after `ms`, at most 24.8 days; rejects with the signal's reason if it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** setTimeout uses a signed 32-bit integer and fires at once above it. */
const maxTimerMs = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  // Not node:timers/promises, which a wrapper would load only for this while its game waits.
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const wake = () => {
        signal?.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(wake, Math.min(Math.max(ms, 0), maxTimerMs));
      signal?.addEventListener('abort', giveUp, { once: true });
    }),
};
