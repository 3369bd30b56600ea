import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { hasCode } from './system-error.ts';

const stderr = 2;
/** A drain's burst of lines is a few times the capacity of a pipe. */
const maxWaitingBytes = 262_144;
const retry = { firstMs: 20, maxMs: 1000 } as const;

/**
 * Writes lines to stderr without ever waiting for its reader: a hanging log collector must not delay a warning, or keep
 * a game alive past its deadline. Lines that do not fit the pipe wait, and are dropped beyond a bound; their number is
 * logged once the reader is back. Never throws, even on a full disk or a closed pipe.
 *
 * `process.stderr` does not do: on a pipe it blocks, on `/dev/full` its error ends the process, and it makes a
 * descriptor non-blocking that the game shares, so that games lose output. Reopening the pipe or terminal gives this
 * process its own open file description.
 */
export function stderrWriter(name: string, descriptor: number = openAgain()): (line: string) => void {
  const waiting = new WaitingLines(name, descriptor);
  // The last attempt, when the process ends.
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
    // While lines wait, only the timer tries: a failing write per line would waste a system call.
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

  /** The pipe is closed or the disk is full. */
  #dropAll(): void {
    this.#dropped += this.#chunks.length;
    this.#chunks = [];
    this.#bytes = 0;
  }

  #droppedLine(lines: number): string {
    const level = 40;
    return `${JSON.stringify({ level, time: Date.now(), name: this.#name, lines, msg: 'Log lines dropped: stderr was not read' })}\n`;
  }
}

function openAgain(): number {
  try {
    const found = fstatSync(stderr);
    // A regular file never blocks, and reopening it would give a position of its own.
    if (!found.isFIFO() && !found.isCharacterDevice()) return stderr;
    return openSync('/proc/self/fd/2', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return stderr;
  }
}
