import type { Writable } from 'node:stream';
import type { Clock } from '../../shared/clock.ts';

/**
 * Pause between two lines. Games that wait for their console with select() and then read it through a buffer (OpenTTD
 * does) see only the first of two lines that come together, and the second when a third comes. So each line has to
 * arrive while they wait again.
 */
const pauseMs = 100;

/** The game's standard input, for console commands. */
export class GameConsole {
  readonly #input: Writable | null;
  readonly #clock: Clock;
  #isFree: Promise<void> = Promise.resolve();

  constructor(input: Writable | null, clock: Clock) {
    this.#input = input;
    this.#clock = clock;
  }

  /** Writes a line, after those that were given before. Throws if the game's input is closed, or is not ours. */
  async writeLine(text: string): Promise<void> {
    const isFree = this.#isFree;
    const next = Promise.withResolvers<void>();
    this.#isFree = next.promise;
    await isFree;
    try {
      if (this.#input?.writable !== true) throw new Error("Cannot write to the game's console: it is closed");
      this.#input.write(`${text}\n`);
    } finally {
      void this.#clock.sleep(pauseMs).then(next.resolve);
    }
  }
}
