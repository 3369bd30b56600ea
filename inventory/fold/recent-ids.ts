/** A sender that takes an id twice does so within seconds; a larger window would cost more than the fold itself. */
const idsPerGeneration = 4096;

/**
 * Finds an event id that is used for two different events. Remembers the last 4,096 to 8,192 ids: the older generation goes
 * as a whole when the younger one is full, which costs nothing per event.
 */
export class RecentIds {
  #younger = new Map<string, string>();
  #older = new Map<string, string>();

  /** What the id was used for before, if that is something else than `meaning`. */
  otherMeaning(id: string, meaning: string): string | undefined {
    const known = this.#younger.get(id) ?? this.#older.get(id);
    if (known !== undefined) return known === meaning ? undefined : known;
    if (this.#younger.size >= idsPerGeneration) {
      this.#older = this.#younger;
      this.#younger = new Map();
    }
    this.#younger.set(id, meaning);
    return undefined;
  }
}
