/** Match a longer line by its beginning only, so that a game that writes no line ends costs bounded memory. */
const maxLineBytes = 16_384;

/** Colours and other orders to a terminal: CSI, OSC, and the short ones (ECMA-48). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they begin with ESC
const terminalOrders = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])/g;

/** Looks for a line in a byte stream as it passes through. */
export class LineMatcher {
  readonly #pattern: RegExp;
  #line = Buffer.alloc(0);

  constructor(pattern: RegExp) {
    this.#pattern = pattern;
  }

  /** Whether a line that `chunk` completes matches, either as a terminal would show it or byte by byte. */
  push(chunk: Buffer): boolean {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      if (this.#matches(chunk.subarray(start, end))) return true;
      this.#line = Buffer.alloc(0);
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
    return false;
  }

  #matches(rest: Buffer): boolean {
    this.#keep(rest);
    const line = this.#line.toString('utf8').replace(/\r$/, '');
    if (this.#pattern.test(line)) return true;
    return line.includes('\x1b') && this.#pattern.test(line.replace(terminalOrders, '').replace(/\r$/, ''));
  }

  #keep(part: Buffer): void {
    const room = maxLineBytes - this.#line.length;
    if (room > 0 && part.length > 0) this.#line = Buffer.concat([this.#line, part.subarray(0, room)]);
  }
}
