import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { hasCode } from './system-error.ts';

const stderr = 2;
/** Waits here while the reader is slow: a drain's burst of lines is a few times what a pipe holds. */
const maxWaitingBytes = 262_144;
const retry = { firstMs: 20, maxMs: 1000 } as const;

/**
 * Writes lines to stderr without ever waiting for whoever reads it: a log collector that hangs must not stand before a warning, nor keep a
 * game alive past its deadline. What is too much for the pipe waits for a while, and past a bound is dropped; the number of dropped lines is
 * logged once the reader is back. Never throws, on a full disk or a closed pipe either.
 *
 * `process.stderr` is no way: on a pipe it blocks, on `/dev/full` its error ends the process, and it makes a descriptor non-blocking that the
 * game shares, and games then lose output. Opening the pipe or terminal again gives us one with settings of its own.
 */
export function stderrWriter(name: string, descriptor: number = openAgain()): (line: string) => void {
  const waiting = new WaitingLines(name, descriptor);
  // A process that ends has one more try for what waits.
  process.once('exit', () => waiting.flush());
  return (line) => waiting.write(line);
}

class WaitingLines {
  readonly #name: string;
  readonly #descriptor: number;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #dropped = 0;
  #pauseMs: number = retry.firstMs;
  #timer: NodeJS.Timeout | undefined;

  constructor(name: string, descriptor: number) {
    this.#name = name;
    this.#descriptor = descriptor;
  }

  write(line: string): void {
    const chunk = Buffer.from(line);
    if (this.#bytes + chunk.length > maxWaitingBytes) this.#dropped++;
    else this.#keep(chunk);
    // While something waits, the timer tries: a write that fails for each line would cost a system call for nothing.
    if (this.#timer === undefined) this.flush();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      this.#writeAll();
      if (this.#dropped === 0) return;
      const lines = this.#dropped;
      this.#dropped = 0;
      this.#keep(Buffer.from(this.#droppedLine(lines)));
      this.#writeAll();
    } catch (error) {
      if (hasCode(error, 'EAGAIN')) this.#tryLater();
      else this.#dropAll();
    }
  }

  #writeAll(): void {
    for (let chunk = this.#chunks[0]; chunk !== undefined; chunk = this.#chunks[0]) {
      const written = writeSync(this.#descriptor, chunk);
      this.#bytes -= written;
      if (written < chunk.length) this.#chunks[0] = chunk.subarray(written);
      else this.#chunks.shift();
      this.#pauseMs = retry.firstMs;
    }
  }

  #keep(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  #tryLater(): void {
    this.#timer = setTimeout(() => this.flush(), this.#pauseMs).unref();
    this.#pauseMs = Math.min(retry.maxMs, 2 * this.#pauseMs);
  }

  /** Closed, or the disk is full. */
  #dropAll(): void {
    this.#dropped += this.#chunks.length;
    this.#chunks = [];
    this.#bytes = 0;
  }

  #droppedLine(lines: number): string {
    const level = 40;
    return `${JSON.stringify({ level, time: Date.now(), name: this.#name, lines, msg: 'Log lines dropped: nobody read them' })}\n`;
  }
}

function openAgain(): number {
  try {
    const found = fstatSync(stderr);
    // A regular file never blocks, and a second opening would have a position of its own.
    if (!found.isFIFO() && !found.isCharacterDevice()) return stderr;
    return openSync('/proc/self/fd/2', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return stderr;
  }
}
