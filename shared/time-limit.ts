/** In milliseconds. */
export interface LimitRange {
  readonly min: number;
  readonly max: number;
}

const growth = 3;

/**
 * How long one kind of call may take. It grows where the server is there and needs longer, and shrinks again with its answers. A server that shows
 * no sign of life gets no more time: new attempts find out sooner that it is back.
 */
export class TimeLimit {
  readonly #range: LimitRange;
  #ms: number;

  constructor(range: LimitRange) {
    this.#range = range;
    this.#ms = range.min;
  }

  get ms(): number {
    return this.#ms;
  }

  answered(tookMs: number): void {
    const { min, max } = this.#range;
    this.#ms = Math.min(max, Math.max(min, 2 * tookMs, this.#ms / 2));
  }

  /** A call had `limitMs`, which was not enough for a server that showed meanwhile that it is there. */
  exceeded(limitMs: number): void {
    // Calls that began together end together: they show one and the same thing.
    this.#ms = Math.min(this.#range.max, Math.max(this.#ms, limitMs * growth));
  }
}
