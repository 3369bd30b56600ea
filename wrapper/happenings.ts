import type { Clock } from '../shared/clock.ts';
import type { Happening } from './lifecycle.ts';

/** What happened and was not yet acted upon, in order. Sources push and never wait. */
export class Happenings {
  readonly #clock: Clock;
  #queue: Happening[] = [];
  #arrived = Promise.withResolvers<void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  push(happening: Happening): void {
    this.#queue.push(happening);
    this.#arrived.resolve();
  }

  /** The next one; `time-passed` when nothing happens until `untilMs` (epoch milliseconds). */
  async next(untilMs: number | undefined): Promise<Happening> {
    if (this.#queue.length === 0) await this.#wait(untilMs);
    this.#arrived = Promise.withResolvers();
    return this.#queue.shift() ?? { kind: 'time-passed' };
  }

  /** Whether somebody wants us to end and has not been heard. */
  hasEndSignal(): boolean {
    return this.#queue.some(
      (happening) => happening.kind === 'signal' && (happening.signal === 'SIGTERM' || happening.signal === 'SIGINT'),
    );
  }

  async #wait(untilMs: number | undefined): Promise<void> {
    if (untilMs === undefined) return this.#arrived.promise;
    const timer = new AbortController();
    const passed = this.#clock.sleep(Math.ceil(untilMs - this.#clock.now()), timer.signal).catch(() => {});
    await Promise.race([this.#arrived.promise, passed]);
    timer.abort();
  }
}
