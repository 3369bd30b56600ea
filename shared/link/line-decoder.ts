/** A line may carry an inventory event, whose labels are bounded well below this. */
export const maxLineBytes = 65_536;

export class LineTooLongError extends Error {
  constructor(limitBytes: number) {
    super(`Cannot read a line of more than ${limitBytes} bytes`);
    this.name = 'LineTooLongError';
  }
}

const nothing = Buffer.alloc(0);

/**
 * Cuts a byte stream into lines. Holds at most one unfinished line, in one buffer whatever the size of its pieces;
 * throws a {@link LineTooLongError} past its bound, after which the stream cannot be read on.
 */
export class LineDecoder {
  readonly #limitBytes: number;
  /** The beginning of a line, in its first `#length` bytes. */
  #unfinished = nothing;
  #length = 0;

  constructor(limitBytes: number = maxLineBytes) {
    this.#limitBytes = limitBytes;
  }

  /** The lines that `chunk` completes, without their ends and white space around them; empty lines are left out. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      const line = this.#complete(chunk.subarray(start, end)).toString('utf8').trim();
      if (line !== '') lines.push(line);
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
    return lines;
  }

  /** The bytes of a whole line: decoded only now, because a chunk may end inside a character. */
  #complete(part: Buffer): Buffer {
    if (this.#length === 0 && part.length <= this.#limitBytes) return part;
    this.#keep(part);
    const line = this.#unfinished.subarray(0, this.#length);
    this.#unfinished = nothing;
    this.#length = 0;
    return line;
  }

  #keep(part: Buffer): void {
    const length = this.#length + part.length;
    if (length > this.#limitBytes) throw new LineTooLongError(this.#limitBytes);
    if (length > this.#unfinished.length) {
      // Doubled, so that a line that comes byte by byte is not copied once a byte.
      const larger = Buffer.allocUnsafeSlow(Math.min(this.#limitBytes, Math.max(length, 2 * this.#unfinished.length)));
      this.#unfinished.copy(larger, 0, 0, this.#length);
      this.#unfinished = larger;
    }
    part.copy(this.#unfinished, this.#length);
    this.#length = length;
  }
}
