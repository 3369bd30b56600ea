/** An outage has a handful of causes; more of them are one cause in varying words. */
const maxCauses = 16;

/**
 * The causes of an outage that were already logged. Each new cause deserves a line (throttled, then access denied, then
 * no such queue), a repeated one does not.
 */
export class NewCauses {
  readonly #seen = new Set<string>();

  /** Whether the cause is new in this outage. Long numbers (ports, request IDs, times) are ignored. */
  isNew(cause: string): boolean {
    const known = cause.replace(/\b(?=[a-f-]*\d)[0-9a-f-]{4,}\b/gi, '#');
    if (this.#seen.has(known) || this.#seen.size >= maxCauses) return false;
    this.#seen.add(known);
    return true;
  }

  /** Call it when the outage is over. */
  clear(): void {
    this.#seen.clear();
  }
}
