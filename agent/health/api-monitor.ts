/** Whether the Kubernetes API responds, by the monotonic clock. Any status is a response. */
export class ApiMonitor {
  #silentSinceMs: number | undefined;

  /** A call has ended; `status` is undefined if there was no response. */
  called(status: number | undefined): void {
    this.#silentSinceMs = status === undefined ? (this.#silentSinceMs ?? performance.now()) : undefined;
  }

  /** Time since the first call without a response; 0 if a later call had one. */
  get silentMs(): number {
    return this.#silentSinceMs === undefined ? 0 : performance.now() - this.#silentSinceMs;
  }
}
