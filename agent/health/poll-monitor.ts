/** Tracks polling by the monotonic clock, so that a step of the wall clock does not look like silence. */
export class PollMonitor {
  readonly #startedMs = performance.now();
  #lookedMs: number | undefined;
  #readMs: number | undefined;
  #spotReadMs: number | undefined;

  /** A poll of all sources has ended, whether or not it succeeded. */
  looked(): void {
    this.#lookedMs = performance.now();
  }

  /** The metadata service has responded; `isSpot`: to a request for the spot notice. */
  read(isSpot: boolean): void {
    this.#readMs = performance.now();
    if (isSpot) this.#spotReadMs = this.#readMs;
  }

  /** Time since the last poll, or since the start. */
  get stalledMs(): number {
    return performance.now() - (this.#lookedMs ?? this.#startedMs);
  }

  /** Time for which the metadata service has not responded. */
  get silentMs(): number {
    return performance.now() - (this.#readMs ?? this.#startedMs);
  }

  /** Whether the spot notice was ever readable, even if there was none. */
  get hasReadSpot(): boolean {
    return this.#spotReadMs !== undefined;
  }

  /** Age of the last reading of the spot notice. */
  get spotAgeMs(): number {
    return performance.now() - (this.#spotReadMs ?? this.#startedMs);
  }
}
