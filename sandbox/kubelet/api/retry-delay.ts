import { setTimeout as delay } from 'node:timers/promises';

const firstMs = 100;
const maxMs = 5_000;

/** Waits that double from 100 ms to 5 s, each between half and all of it, until `reset`. */
export class RetryDelay {
  #nextMs = firstMs;
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Ends early, without an error, when `signal` aborts. `atLeastMs`: what the server asked for, up to 5 s. */
  async wait(signal: AbortSignal, atLeastMs: number = 0): Promise<void> {
    const ms = Math.max(this.#nextMs * (0.5 + this.#random() / 2), Math.min(atLeastMs, maxMs));
    this.#nextMs = Math.min(this.#nextMs * 2, maxMs);
    await delay(ms, undefined, { signal }).catch(() => undefined);
  }

  reset(): void {
    this.#nextMs = firstMs;
  }
}
