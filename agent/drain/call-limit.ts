/**
 * Calls under way at once: enough for an API server that takes half a second for each, and no flood for a small one.
 */
const maxCalls = 16;
const minCalls = 2;
const defaultPauseMs = 500;
/** A Retry-After of minutes would spend the notice: the server is asked again sooner, with few calls. */
const maxPauseMs = 2000;
/**
 * The server that sheds one pod's calls and nobody else's is not overloaded: two pods within this time are a sign of
 * it.
 */
const shedTogetherMs = 5000;
/**
 * Calls about so many pods in a row without an answer: it is not the pods, the server is away. It is looked for with
 * few calls then.
 */
const minSilent = 3;
const failurePauseMs = 100;
const maxFailurePauseMs = 1000;

/**
 * How many calls may be under way: a little more after each that was served, half as many and none for a while after
 * one that the server was too busy for. The pause is for all pods where several were shed; one pod's trouble is that
 * pod's. A server that is away is looked for by two calls at a time, in the end a second apart, and gets all of them
 * again as soon as it answers.
 */
export class CallLimit {
  #underWay = 0;
  #max = maxCalls;
  #pausedUntilMs = 0;
  /**
   * Since the last answer: the pods whose calls brought none, and how many calls after it was clear that the server is
   * away.
   */
  #failures = 0;
  readonly #silent = new Set<string>();
  #lastShed: { readonly uid: string; readonly atMs: number } | undefined;

  /** Epoch milliseconds; in the past while there is no pause. */
  get pausedUntilMs(): number {
    return this.#pausedUntilMs > 0 ? this.#pausedUntilMs : Number.POSITIVE_INFINITY;
  }

  /** How many calls may begin now. */
  free(nowMs: number): number {
    // A pause that is longer than any we make comes from a clock that was set back.
    if (nowMs < this.#pausedUntilMs && this.#pausedUntilMs - nowMs <= maxPauseMs) return 0;
    this.#pausedUntilMs = 0;
    const max = this.isAway ? minCalls : Math.floor(this.#max);
    return Math.max(0, max - this.#underWay);
  }

  begin(): void {
    this.#underWay++;
  }

  end(): void {
    this.#underWay--;
  }

  /** The server had time for a call, whatever it said. */
  served(): void {
    if (this.isAway) this.#pausedUntilMs = 0;
    this.#answered();
    this.#max = Math.min(maxCalls, this.#max + 1 / this.#max);
  }

  /** Whether the server has not answered lately. */
  get isAway(): boolean {
    return this.#silent.size >= minSilent;
  }

  /** There was no answer about this pod, or none that makes sense. */
  failed(nowMs: number, uid: string): void {
    this.#silent.add(uid);
    if (!this.isAway) return;
    this.#failures++;
    const pauseMs = Math.min(failurePauseMs * this.#failures, maxFailurePauseMs);
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + pauseMs);
  }

  /** The server was too busy for this pod's call. Returns how long that pod waits, milliseconds. */
  busy(nowMs: number, retryAfterMs: number | undefined, uid: string): number {
    this.#answered();
    const pauseMs = Math.min(retryAfterMs ?? defaultPauseMs, maxPauseMs);
    const last = this.#lastShed;
    this.#lastShed = { uid, atMs: nowMs };
    const isOfSeveral = last !== undefined && last.uid !== uid && Math.abs(nowMs - last.atMs) <= shedTogetherMs;
    if (!isOfSeveral) return pauseMs;
    // Calls that were under way together are shed together: that is one sign of overload, not many.
    if (nowMs >= this.#pausedUntilMs) this.#max = Math.max(minCalls, this.#max / 2);
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + pauseMs);
    return 0;
  }

  #answered(): void {
    this.#failures = 0;
    this.#silent.clear();
  }
}
