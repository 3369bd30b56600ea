import type { Clock } from '../../shared/clock.ts';
import type { LifeEvent } from './lifecycle.ts';

/** What happened and was not yet acted upon, in order. Sources push and never wait. */
export class LifeEvents {
  #queue: LifeEvent[] = [];
  #arrived = Promise.withResolvers<void>();

  push(lifeEvent: LifeEvent): void {
    this.#queue.push(lifeEvent);
    this.#arrived.resolve();
  }

  /** The next one; `time-passed` when nothing happens until `untilMs` (epoch milliseconds, by the clock). */
  async next(untilMs: number | undefined, clock: Clock): Promise<LifeEvent> {
    if (this.#queue.length === 0) await this.#wait(untilMs, clock);
    this.#arrived = Promise.withResolvers();
    return this.#queue.shift() ?? { kind: 'time-passed' };
  }

  async #wait(untilMs: number | undefined, clock: Clock): Promise<void> {
    if (untilMs === undefined) return this.#arrived.promise;
    const timer = new AbortController();
    const passed = clock.sleep(Math.ceil(untilMs - clock.now()), timer.signal).catch(() => {});
    await Promise.race([this.#arrived.promise, passed]);
    timer.abort();
  }
}
