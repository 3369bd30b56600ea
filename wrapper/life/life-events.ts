import type { Clock } from '../../shared/clock.ts';
import type { LifeEvent } from './lifecycle.ts';

/** A queue of events that the lifecycle has not handled yet, in order. Sources push without waiting. */
export class LifeEvents {
  #queue: LifeEvent[] = [];
  #arrived = Promise.withResolvers<void>();

  push(lifeEvent: LifeEvent): void {
    this.#queue.push(lifeEvent);
    this.#arrived.resolve();
  }

  /**
   * Resolves with the next event, or with `time-passed` if nothing happens until `untilMs` (epoch milliseconds, by the
   * clock).
   */
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
