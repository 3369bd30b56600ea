/** A line may carry an inventory event, whose labels are limited to much less than this. */
export const maxLineBytes = 65_536;

export class LineTooLongError extends Error {
  constructor(limitBytes: number) {
    super(`Cannot read a line of more than ${limitBytes} bytes`);
    this.name = 'LineTooLongError';
  }
}

const nothing = Buffer.alloc(0);

/**
 * Splits a byte stream into lines. Holds at most one unfinished line, in one buffer whatever the chunk size. Throws a
 * {@link LineTooLongError} beyond its limit; the stream is then unusable.
 */
export class LineDecoder {
  readonly #limitBytes: number;
  /** The first `#length` bytes are the beginning of a line. */
  #unfinished = nothing;
  #length = 0;

  constructor(limitBytes: number = maxLineBytes) {
    this.#limitBytes = limitBytes;
  }

  /** Returns the lines that `chunk` completes, trimmed. Empty lines are dropped. */
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

  /** Returns the bytes of a whole line. Decoding waits until here, because a chunk may end within a character. */
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
      // Doubling avoids a copy per byte if a line arrives byte by byte.
      const larger = Buffer.allocUnsafeSlow(Math.min(this.#limitBytes, Math.max(length, 2 * this.#unfinished.length)));
      this.#unfinished.copy(larger, 0, 0, this.#length);
      this.#unfinished = larger;
    }
    part.copy(this.#unfinished, this.#length);
    this.#length = length;
  }
}
