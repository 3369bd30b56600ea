import { createWriteStream, type WriteStream } from 'node:fs';

const maxFileBytes = 8 * 1024 * 1024;
/** Limit for lines that wait for the disk. */
const maxWaitingBytes = 1024 * 1024;

/** One container's log file. It never makes the container wait: beyond the limit it drops lines and counts them. */
export class ContainerLog {
  readonly #file: WriteStream;
  #bytes = 0;
  #dropped = 0;

  constructor(path: string) {
    this.#file = createWriteStream(path, { flags: 'a' });
    // A full disk loses lines but must not end the kubelet.
    this.#file.on('error', () => undefined);
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line) + 1;
    if (
      this.#bytes + bytes > maxFileBytes ||
      this.#file.writableLength > maxWaitingBytes ||
      this.#file.errored !== null
    ) {
      this.#dropped += 1;
      return;
    }
    this.#bytes += bytes;
    this.#file.write(`${line}\n`);
  }

  /** Lines dropped since the last call. */
  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }

  close(): void {
    this.#file.end();
  }
}
