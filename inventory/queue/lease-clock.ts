/**
 * Standard queues mix their order over seconds: within this window the oldest message shows how far behind the reader
 * is.
 */
const windowMs = 5000;

/**
 * When the queue reports that it is empty, another poller may still hold messages, and its clock has whole seconds
 * only.
 */
const emptySlackMs = 2000;

/**
 * The time, by the queue's clock, up to which everything has been heard. Leases expire by this clock and not by the
 * wall clock: a reader that was down, or that cannot reach its queue, has not heard the renewals and must not declare
 * anything lost. Monotonic. Pure: times are arguments, epoch milliseconds.
 */
export class LeaseClock {
  #nowMs: number;
  #windowEndMs = Number.NEGATIVE_INFINITY;
  #oldestBefore = Number.POSITIVE_INFINITY;
  #oldest = Number.POSITIVE_INFINITY;

  /** `startMs`: the last value of the previous reader. */
  constructor(startMs: number = Number.NEGATIVE_INFINITY) {
    this.#nowMs = startMs;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** A message that the queue took at `sentMs` was heard at `nowMs`, by any monotonic clock of the reader. */
  heard(sentMs: number, nowMs: number): void {
    if (nowMs >= this.#windowEndMs) {
      this.#advance(Math.min(this.#oldestBefore, this.#oldest));
      const isNextWindow = nowMs < this.#windowEndMs + windowMs;
      this.#oldestBefore = isNextWindow ? this.#oldest : Number.POSITIVE_INFINITY;
      this.#oldest = Number.POSITIVE_INFINITY;
      this.#windowEndMs = nowMs + windowMs;
    }
    this.#oldest = Math.min(this.#oldest, sentMs);
  }

  /** The queue was empty at `queueNowMs`. */
  drained(queueNowMs: number): void {
    this.#oldestBefore = Number.POSITIVE_INFINITY;
    this.#oldest = Number.POSITIVE_INFINITY;
    this.#windowEndMs = Number.NEGATIVE_INFINITY;
    this.#advance(queueNowMs - emptySlackMs);
  }

  #advance(toMs: number): void {
    if (Number.isFinite(toMs) && toMs > this.#nowMs) this.#nowMs = toMs;
  }
}
