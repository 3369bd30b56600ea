/**
 * Maximum number of concurrent calls: enough for an API server that takes half a second for each, and bearable for a
 * small one.
 */
const maxCalls = 16;
const minCalls = 2;
const defaultPauseMs = 500;
/** A Retry-After of minutes would use up the notice. The agent asks again sooner, with few calls. */
const maxPauseMs = 2000;
/**
 * If the server sheds the calls of only one pod, the server is not overloaded. Two pods within this time are a sign of
 * overload.
 */
const shedTogetherMs = 5000;
/**
 * After failed calls for this many pods in a row, the pods are not the cause: the server is unreachable. The agent then
 * probes it with few calls.
 */
const minSilent = 3;
const failurePauseMs = 100;
const maxFailurePauseMs = 1000;

/**
 * Limits concurrent calls. The limit grows a little after each served call; overload halves it and pauses all calls. A
 * pause applies to all pods only if several were shed; otherwise to that pod alone. Two calls at a time probe an
 * unreachable server, at pauses of up to a second, and the first response restores the full limit.
 */
export class CallLimit {
  #underWay = 0;
  #max = maxCalls;
  #pausedUntilMs = 0;
  /**
   * Since the last response: the number of failed calls after the server was found unreachable. `#silent`: the pods
   * whose calls failed.
   */
  #failures = 0;
  readonly #silent = new Set<string>();
  #lastShed: { readonly uid: string; readonly atMs: number } | undefined;

  /** Epoch milliseconds; infinite if there is no pause. */
  get pausedUntilMs(): number {
    return this.#pausedUntilMs > 0 ? this.#pausedUntilMs : Number.POSITIVE_INFINITY;
  }

  /** How many calls may begin now. */
  free(nowMs: number): number {
    // A longer pause than any we set means that the clock was set back.
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

  /** The server processed a call, whatever the result. */
  served(): void {
    if (this.isAway) this.#pausedUntilMs = 0;
    this.#answered();
    this.#max = Math.min(maxCalls, this.#max + 1 / this.#max);
  }

  /** Whether the server is unreachable. */
  get isAway(): boolean {
    return this.#silent.size >= minSilent;
  }

  /** A call for this pod had no response, or a malformed one. */
  failed(nowMs: number, uid: string): void {
    this.#silent.add(uid);
    if (!this.isAway) return;
    this.#failures++;
    const pauseMs = Math.min(failurePauseMs * this.#failures, maxFailurePauseMs);
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + pauseMs);
  }

  /** The server was too busy for this pod's call. Returns how long the pod waits, milliseconds. */
  busy(nowMs: number, retryAfterMs: number | undefined, uid: string): number {
    this.#answered();
    const pauseMs = Math.min(retryAfterMs ?? defaultPauseMs, maxPauseMs);
    const last = this.#lastShed;
    this.#lastShed = { uid, atMs: nowMs };
    const isOfSeveral = last !== undefined && last.uid !== uid && Math.abs(nowMs - last.atMs) <= shedTogetherMs;
    if (!isOfSeveral) return pauseMs;
    // Concurrent calls are shed together: that is one sign of overload, not many.
    if (nowMs >= this.#pausedUntilMs) this.#max = Math.max(minCalls, this.#max / 2);
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + pauseMs);
    return 0;
  }

  #answered(): void {
    this.#failures = 0;
    this.#silent.clear();
  }
}
