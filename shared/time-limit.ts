/** In milliseconds. */
export interface LimitRange {
  readonly min: number;
  readonly max: number;
}

const growth = 3;

/**
 * The time limit of one kind of call. It grows if the server responds but needs longer, and shrinks with its responses.
 * An unreachable server gets no more time, so that new attempts notice its return sooner.
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

  /** A call exceeded `limitMs` although the server showed that it is reachable. */
  exceeded(limitMs: number): void {
    // Calls that began together end together and count once.
    this.#ms = Math.min(this.#range.max, Math.max(this.#ms, limitMs * growth));
  }
}
