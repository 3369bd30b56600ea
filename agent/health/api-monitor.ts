/** Whether the Kubernetes API answers, by a clock that nobody sets. Any status is an answer. */
export class ApiMonitor {
  #silentSinceMs: number | undefined;

  /** A call has ended: with an answer of this status, or without one. */
  called(status: number | undefined): void {
    this.#silentSinceMs = status === undefined ? (this.#silentSinceMs ?? performance.now()) : undefined;
  }

  /** Since the first call that had no answer, as long as none has had one since; 0 where the last one had. */
  get silentMs(): number {
    return this.#silentSinceMs === undefined ? 0 : performance.now() - this.#silentSinceMs;
  }
}
