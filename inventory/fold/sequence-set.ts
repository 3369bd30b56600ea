/** Maximum number of ranges. A gap is a lost or late event; a game server has a handful at most. */
const maxRanges = 64;

/**
 * The folded sequence numbers as ranges: a single range if every event arrived. It tells repeats from late events
 * exactly, for two numbers per game server.
 */
export class SequenceSet {
  /** first, last, first, last, ... in ascending order, with a gap between ranges. */
  readonly #bounds: number[];

  private constructor(bounds: number[]) {
    this.#bounds = bounds;
  }

  static empty(): SequenceSet {
    return new SequenceSet([]);
  }

  /** Parses the output of {@link toString}: `1-17,19`. */
  static parse(text: string): SequenceSet {
    const bounds: number[] = [];
    for (const range of text.split(',')) {
      if (range === '') continue;
      const [first, last = first] = range.split('-').map(Number);
      bounds.push(first ?? 0, last ?? 0);
    }
    return new SequenceSet(bounds);
  }

  toString(): string {
    const ranges: string[] = [];
    for (let at = 0; at < this.#bounds.length; at += 2) {
      const first = this.#bounds[at];
      const last = this.#bounds[at + 1];
      ranges.push(first === last ? `${first}` : `${first}-${last}`);
    }
    return ranges.join(',');
  }

  /** false: the number was already in the set. */
  add(sequence: number): boolean {
    const bounds = this.#bounds;
    // The usual case: the next event.
    const newest = bounds.at(-1);
    if (newest !== undefined && sequence === newest + 1) {
      bounds[bounds.length - 1] = sequence;
      return true;
    }
    let at = bounds.length;
    while (at > 0 && sequence < (bounds[at - 2] ?? 0)) at -= 2;
    // Ranges before `at` begin at or below the sequence.
    if (at > 0 && sequence <= (bounds[at - 1] ?? 0)) return false;
    const joinsBefore = at > 0 && bounds[at - 1] === sequence - 1;
    const joinsAfter = bounds[at] === sequence + 1;
    if (joinsBefore && joinsAfter) bounds.splice(at - 1, 2);
    else if (joinsBefore) bounds[at - 1] = sequence;
    else if (joinsAfter) bounds[at] = sequence;
    else bounds.splice(at, 0, sequence, sequence);
    // Close the oldest gap: its missing event could no longer change anything.
    if (bounds.length > 2 * maxRanges) bounds.splice(1, 2);
    return true;
  }
}
