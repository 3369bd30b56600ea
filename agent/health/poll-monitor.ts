/** Signs of life of the polling, counted by a clock that nobody sets: a step of the wall clock is no silence. */
export class PollMonitor {
  readonly #startedMs = performance.now();
  #lookedMs: number | undefined;
  #readMs: number | undefined;
  #spotReadMs: number | undefined;

  /** A look at all sources has ended, well or not. */
  looked(): void {
    this.#lookedMs = performance.now();
  }

  /** The metadata service has answered; `isSpot` where it was asked for the spot notice. */
  read(isSpot: boolean): void {
    this.#readMs = performance.now();
    if (isSpot) this.#spotReadMs = this.#readMs;
  }

  /** Since the last look, or since the start. */
  get stalledMs(): number {
    return performance.now() - (this.#lookedMs ?? this.#startedMs);
  }

  /** How long the metadata service has not answered. */
  get silentMs(): number {
    return performance.now() - (this.#readMs ?? this.#startedMs);
  }

  /** Whether the spot notice could be read, be it that there was none. */
  get hasReadSpot(): boolean {
    return this.#spotReadMs !== undefined;
  }

  /** How old the last reading of the spot notice is. */
  get spotAgeMs(): number {
    return performance.now() - (this.#spotReadMs ?? this.#startedMs);
  }
}
