/** Standard queues mix their order over seconds: within this span the oldest message says how far behind the reader is. */
const windowMs = 5000;

/** What another poller may hold in its hands, or a clock's whole seconds hide, when the queue says that it is empty. */
const emptySlackMs = 2000;

/**
 * Up to which instant of the queue's clock everything has been heard. Leases run out by this clock and not by the wall's: a
 * reader that was down for an hour, or whose queue cannot be reached, has not heard the renewals and must not call anybody
 * lost for that. Never goes back. Pure: times are arguments, epoch milliseconds.
 */
export class LeaseClock {
  #nowMs: number;
  #windowEndMs = Number.NEGATIVE_INFINITY;
  #oldestBefore = Number.POSITIVE_INFINITY;
  #oldest = Number.POSITIVE_INFINITY;

  /** `startMs`: where the reader before this one had come to. */
  constructor(startMs: number = Number.NEGATIVE_INFINITY) {
    this.#nowMs = startMs;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** A message that the queue had taken at `sentMs` was heard at `nowMs` (any steady clock of the reader). */
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

  /** The queue had nothing more to give at `queueNowMs`. */
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
