/** A line may carry an inventory event, whose labels are bounded well below this. */
export const longestLineBytes = 65_536;

export class LineTooLongError extends Error {
  constructor(limitBytes: number) {
    super(`Cannot read a line of more than ${limitBytes} bytes`);
    this.name = 'LineTooLongError';
  }
}

/** Cuts a byte stream into lines. Holds at most one unfinished line; throws a {@link LineTooLongError} past its bound. */
export class LineDecoder {
  readonly #limitBytes: number;
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  constructor(limitBytes: number = longestLineBytes) {
    this.#limitBytes = limitBytes;
  }

  /** The lines that `chunk` completes, without their ends; empty lines are left out. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      this.#keep(chunk.subarray(start, end));
      const line = Buffer.concat(this.#pending, this.#pendingBytes).toString('utf8').trim();
      if (line !== '') lines.push(line);
      this.#pending = [];
      this.#pendingBytes = 0;
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
    return lines;
  }

  #keep(part: Buffer): void {
    this.#pendingBytes += part.length;
    if (this.#pendingBytes > this.#limitBytes) throw new LineTooLongError(this.#limitBytes);
    this.#pending.push(part);
  }
}
