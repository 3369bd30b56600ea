/** An outage has a handful of causes; more than that is the same one in ever new words. */
const maxCauses = 16;

/**
 * Causes of an outage that were logged already. Each new one is worth a line (the queue is throttled, then access is denied, then the queue
 * is gone), its repetition is not.
 */
export class NewCauses {
  readonly #seen = new Set<string>();

  /** Whether a cause was not seen yet in this outage. Long numbers (ports, request ids, times) make no new cause. */
  isNew(cause: string): boolean {
    const known = cause.replace(/\b(?=[a-f-]*\d)[0-9a-f-]{4,}\b/gi, '#');
    if (this.#seen.has(known) || this.#seen.size >= maxCauses) return false;
    this.#seen.add(known);
    return true;
  }

  /** The outage is over. */
  clear(): void {
    this.#seen.clear();
  }
}
