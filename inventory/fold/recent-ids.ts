/** A sender that takes an id twice does so within seconds; a larger window would cost more than the fold itself. */
const idsPerGeneration = 4096;

/** What an event is about, besides its id. */
export interface Meaning {
  readonly type: string;
  readonly subject: string;
  readonly sequence: number;
}

/**
 * Finds an event id that is used for two different events. Remembers the last 4,096 to 8,192 ids: the older generation goes
 * as a whole when the younger one is full, which costs nothing per event.
 */
export class RecentIds {
  #younger = new Map<string, Meaning>();
  #older = new Map<string, Meaning>();

  /** What the id was used for before, if that is something else. */
  otherMeaning(id: string, { type, subject, sequence }: Meaning): Meaning | undefined {
    const known = this.#younger.get(id) ?? this.#older.get(id);
    if (known !== undefined) {
      const isSame = known.sequence === sequence && known.subject === subject && known.type === type;
      return isSame ? undefined : known;
    }
    if (this.#younger.size >= idsPerGeneration) {
      this.#older = this.#younger;
      this.#younger = new Map();
    }
    this.#younger.set(id, { type, subject, sequence });
    return undefined;
  }
}
