import type { Clock } from './clock.ts';

/** Pauses from `firstMs`, doubled after each failure, up to `maxMs`. */
export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * Pause after the n-th consecutive failure (from 1), milliseconds. Jitter over the upper half keeps a node's processes
 * from retrying together. `random` returns 0 to below 1.
 */
export function backoffMs({ firstMs, maxMs }: Backoff, failures: number, random: () => number): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 20));
  return ceiling / 2 + (ceiling / 2) * random();
}

export interface RetryOptions {
  readonly backoff: Backoff;
  readonly clock: Clock;
  readonly random?: (() => number) | undefined;
}

export interface WaitOptions {
  /** Minimum pause: what the server asked for, if anything. */
  readonly atLeastMs?: number;
  /** Replaces the usual backoff for this pause. */
  readonly backoff?: Backoff;
}

/**
 * Counts consecutive failures and waits longer after each. Only progress resets it: a response alone may not be
 * progress.
 */
export class RetryPause {
  readonly #options: RetryOptions;
  #failures = 0;

  constructor(options: RetryOptions) {
    this.#options = options;
  }

  /** Failures since the last progress. */
  get failures(): number {
    return this.#failures;
  }

  /** Resets the count. */
  progressed(): void {
    this.#failures = 0;
  }

  /** Counts a failure. Returns the count. */
  failed(): number {
    return ++this.#failures;
  }

  /** Pause after the failures so far, milliseconds; for callers that decide by it. Others use `wait`. */
  nextMs(backoff: Backoff = this.#options.backoff): number {
    return backoffMs(backoff, Math.max(this.#failures, 1), this.#options.random ?? Math.random);
  }

  /** Waits that long. Returns early, without an error, when the signal aborts. */
  async wait(signal: AbortSignal, { atLeastMs = 0, backoff }: WaitOptions = {}): Promise<void> {
    await this.#options.clock.sleep(Math.max(this.nextMs(backoff), atLeastMs), signal).catch(() => {});
  }
}

export interface RetryLimits extends RetryOptions {
  /** Maximum number of consecutive attempts without progress; default: unlimited. */
  readonly maxAttempts?: number;
  /** Whether retrying is pointless after this error. */
  readonly isFinal?: (error: unknown) => boolean;
  /** Called for each failure with its number, from 1. */
  readonly onFailure?: (error: unknown, failures: number) => void;
}

/**
 * Calls `attempt` until it succeeds, and resolves with its result. Rejects with the last error if it is final or no
 * attempt is left, and with the signal's reason when it aborts. `progressed` resets the backoff and the number of
 * attempts.
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
