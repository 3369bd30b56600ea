/** Calls under way at once: enough for an API server that takes half a second for each, and no flood for a small one. */
const maxCalls = 16;
const minCalls = 2;
const defaultPauseMs = 500;
/** A Retry-After of minutes would spend the notice: the server is asked again sooner, with few calls. */
const maxPauseMs = 2000;
/** So many calls in a row without an answer: it is not the pods, the server is away. It is looked for with few calls then. */
const fewFailures = 3;
const failurePauseMs = 100;
const maxFailurePauseMs = 1000;

/**
 * How many calls may be under way: a little more after each that was served, half as many and none for a while after one that the server was
 * too busy for. What it sheds is shed for all pods alike, so the pause is for all. A server that is away is looked for by two calls at a time,
 * in the end a second apart, and gets all of them again as soon as it answers.
 */
export class CallLimit {
  #underWay = 0;
  #most = maxCalls;
  #pausedUntilMs = 0;
  /** Since the last answer. */
  #failures = 0;

  /** Epoch milliseconds; in the past while there is no pause. */
  get pausedUntilMs(): number {
    return this.#pausedUntilMs > 0 ? this.#pausedUntilMs : Number.POSITIVE_INFINITY;
  }

  /** How many calls may begin now. */
  free(nowMs: number): number {
    // A pause that is longer than any we make comes from a clock that was set back.
    if (nowMs < this.#pausedUntilMs && this.#pausedUntilMs - nowMs <= maxPauseMs) return 0;
    this.#pausedUntilMs = 0;
    const most = this.#isAway ? minCalls : Math.floor(this.#most);
    return Math.max(0, most - this.#underWay);
  }

  begin(): void {
    this.#underWay++;
  }

  end(): void {
    this.#underWay--;
  }

  /** The server had time for a call, whatever it said. */
  served(): void {
    if (this.#isAway) this.#pausedUntilMs = 0;
    this.#failures = 0;
    this.#most = Math.min(maxCalls, this.#most + 1 / this.#most);
  }

  /** There was no answer, or none that makes sense. */
  failed(nowMs: number): void {
    this.#failures++;
    if (!this.#isAway) return;
    const pauseMs = Math.min(failurePauseMs * (this.#failures - fewFailures + 1), maxFailurePauseMs);
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + pauseMs);
  }

  busy(nowMs: number, retryAfterMs: number | undefined): void {
    this.#failures = 0;
    // Calls that were under way together are shed together: that is one sign of overload, not many.
    if (nowMs >= this.#pausedUntilMs) this.#most = Math.max(minCalls, this.#most / 2);
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + Math.min(retryAfterMs ?? defaultPauseMs, maxPauseMs));
  }

  get #isAway(): boolean {
    return this.#failures >= fewFailures;
  }
}
