import { type Backoff, backoffMs } from './backoff.ts';
import type { Clock } from './clock.ts';

export interface RetryOptions {
  readonly backoff: Backoff;
  readonly clock: Clock;
  readonly random?: (() => number) | undefined;
}

/** Counts failures in a row and waits after each, longer every time. Only progress starts it anew: an answer alone may be none. */
export class RetryPause {
  readonly #options: RetryOptions;
  #failures = 0;

  constructor(options: RetryOptions) {
    this.#options = options;
  }

  /** Since the last progress. */
  get failures(): number {
    return this.#failures;
  }

  /** Something was achieved: the next failure is the first one again. */
  progressed(): void {
    this.#failures = 0;
  }

  /** Counts a failure. */
  failed(): number {
    return ++this.#failures;
  }

  /** Milliseconds to wait after the failures so far. */
  nextMs(): number {
    const { backoff, random = Math.random } = this.#options;
    return backoffMs(backoff, Math.max(this.#failures, 1), random);
  }

  /** Waits so long, or `atLeastMs` where the other side asked for more. Ends early, without an error, when the signal aborts. */
  async wait(signal: AbortSignal, atLeastMs = 0): Promise<void> {
    await this.#options.clock.sleep(Math.max(this.nextMs(), atLeastMs), signal).catch(() => {});
  }
}

export interface RetryLimits extends RetryOptions {
  /** In a row, without progress; unlimited where not given. */
  readonly maxAttempts?: number;
  /** An error for which it returns true ends the attempts: another one would bring the same. */
  readonly isFinal?: (error: unknown) => boolean;
  /** Hears each failure with its number in the row, from 1. */
  readonly onFailure?: (error: unknown, failures: number) => void;
}

/**
 * Calls `attempt` until it returns, and resolves with what it returned. Rejects with the last error when that is final or no attempt is
 * left, and with the signal's reason when it aborts. `progressed` starts the backoff and the count of attempts anew.
 */
export async function retry<T>(
  attempt: (progressed: () => void) => T | Promise<T>,
  { maxAttempts = Number.POSITIVE_INFINITY, isFinal = () => false, onFailure = () => {}, ...options }: RetryLimits,
  signal: AbortSignal,
): Promise<T> {
  const pause = new RetryPause(options);
  for (;;) {
    signal.throwIfAborted();
    try {
      return await attempt(() => pause.progressed());
    } catch (error) {
      signal.throwIfAborted();
      const failures = pause.failed();
      onFailure(error, failures);
      if (failures >= maxAttempts || isFinal(error)) throw error;
      await pause.wait(signal);
    }
  }
}
