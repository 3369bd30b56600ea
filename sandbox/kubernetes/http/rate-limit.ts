import type { Answer } from './answer.ts';

export interface RateLimit {
  readonly callsPerSecond: number;
  /** Number of calls allowed at once after a pause. */
  readonly burst: number;
}

/** A token bucket for all callers together. */
export class RateLimiter {
  readonly #limit: RateLimit;
  readonly #now: () => number;
  #tokens: number;
  #at: number;

  constructor(limit: RateLimit, now: () => number) {
    this.#limit = limit;
    this.#now = now;
    this.#tokens = limit.burst;
    this.#at = now();
  }

  admit(): boolean {
    const { callsPerSecond, burst } = this.#limit;
    const nowMs = this.#now();
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#at) / 1000) * callsPerSecond);
    this.#at = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** API priority and fairness refuses in plain text, before the server reads anything else of the request. */
export const overloaded: Answer = {
  status: 429,
  body: 'Too many requests, please try again later.\n',
  headers: { 'retry-after': '1', 'x-content-type-options': 'nosniff' },
};
