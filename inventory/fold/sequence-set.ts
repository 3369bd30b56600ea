/** Gaps that are remembered. A gap is an event that was lost or is late; one server has a handful at most. */
const maxRanges = 64;

/**
 * Which sequence numbers have been folded, as ranges: one range for a server whose every event came. It tells a repeat from a
 * late event exactly, at the price of two numbers a server.
 */
export class SequenceSet {
  /** first, last, first, last, ... ascending, with a gap between two ranges. */
  readonly #bounds: number[];

  private constructor(bounds: number[]) {
    this.#bounds = bounds;
  }

  static empty(): SequenceSet {
    return new SequenceSet([]);
  }

  /** Reads what {@link toString} wrote: `1-17,19`. */
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

  /** False where the number was there already. */
  add(sequence: number): boolean {
    const bounds = this.#bounds;
    // The usual case: the event after the newest one.
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
    // The oldest gap closes: an event that is still missing there would change nothing any more.
    if (bounds.length > 2 * maxRanges) bounds.splice(1, 2);
    return true;
  }
}
