/** A sender that reuses an ID does so within seconds; a larger window would cost more than the fold itself. */
const idsPerGeneration = 4096;

export interface Meaning {
  readonly type: string;
  readonly subject: string;
  readonly sequence: number;
}

/**
 * Finds an event ID that is used for two different events, among the last 4,096 to 8,192 IDs. The older generation is
 * dropped as a whole when the younger one is full, which costs nothing per event.
 */
export class RecentIds {
  #younger = new Map<string, Meaning>();
  #older = new Map<string, Meaning>();

  /** The other event that used this ID before; undefined: none. */
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
