import { type Backoff, backoffMs } from '../backoff.ts';
import type { Clock } from '../clock.ts';
import { errorText, type Log } from '../log.ts';
import type { InventoryEvent } from './event.ts';
import { type Inventory, largestBatch, type RefusedEvent } from './inventory.ts';

export interface OutboxOptions {
  readonly inventory: Inventory;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
  /** Events that wait at most; past it heartbeats go first, then the oldest. */
  readonly capacity?: number;
  /** One attempt, from call to answer. */
  readonly attemptMs?: number;
  readonly onPublished?: (ids: readonly string[]) => void;
  readonly onRefused?: (events: readonly RefusedEvent[]) => void;
}

const backoff: Backoff = { firstMs: 100, longestMs: 5000 };

/**
 * Keeps inventory events in order until the queue has taken them. One call is under way at a time, because that alone keeps the
 * order; what arrives meanwhile goes together in the next one.
 */
export class Outbox {
  readonly #options: Required<Omit<OutboxOptions, 'onPublished' | 'onRefused'>> & OutboxOptions;
  #waiting: InventoryEvent[] = [];
  #inFlight: ReadonlySet<string> = new Set();
  #wake = Promise.withResolvers<void>();
  #settled = Promise.withResolvers<void>();
  #failures = 0;

  constructor(options: OutboxOptions) {
    this.#options = { random: Math.random, capacity: 1000, attemptMs: 5000, ...options };
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** Never blocks. A newer event of the same server makes its waiting heartbeats needless: it says all that they say. */
  add(event: InventoryEvent): void {
    this.#waiting = this.#waiting.filter(
      (other) => !isHeartbeat(other) || other.subject !== event.subject || this.#inFlight.has(other.id),
    );
    this.#waiting.push(event);
    if (this.#waiting.length > this.#options.capacity) this.#dropOne();
    this.#wake.resolve();
  }

  /** Takes an event back, for example because somebody else has published it. */
  remove(id: string): void {
    this.#waiting = this.#waiting.filter((event) => event.id !== id);
    if (this.#waiting.length === 0) this.#settled.resolve();
  }

  /** Sends what is added, until the signal aborts. Never rejects: a failing queue is tried again, ever more slowly. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = () => this.#wake.resolve();
    signal.addEventListener('abort', stop, { once: true });
    while (!signal.aborted) {
      if (this.#waiting.length === 0) {
        this.#settled.resolve();
        await this.#wake.promise;
        this.#wake = Promise.withResolvers();
        continue;
      }
      await this.#sendBatch(signal);
    }
    signal.removeEventListener('abort', stop);
  }

  /** Waits until nothing is left or the signal aborts; resolves with what could not be sent. */
  async flush(signal: AbortSignal): Promise<readonly InventoryEvent[]> {
    const giveUp = Promise.withResolvers<void>();
    const onAbort = () => giveUp.resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    while (this.#waiting.length > 0 && !signal.aborted) {
      this.#settled = Promise.withResolvers();
      await Promise.race([this.#settled.promise, giveUp.promise]);
    }
    signal.removeEventListener('abort', onAbort);
    return [...this.#waiting];
  }

  async #sendBatch(signal: AbortSignal): Promise<void> {
    const { inventory, clock, log, random, attemptMs, onPublished, onRefused } = this.#options;
    const batch = this.#waiting.slice(0, largestBatch);
    this.#inFlight = new Set(batch.map(({ id }) => id));
    try {
      const { published, refused } = await inventory.publish(
        batch,
        AbortSignal.any([signal, AbortSignal.timeout(attemptMs)]),
      );
      const done = new Set([...published, ...refused.map(({ id }) => id)]);
      this.#waiting = this.#waiting.filter(({ id }) => !done.has(id));
      if (this.#failures > 0) log.info({ failures: this.#failures }, 'Inventory queue takes events again');
      this.#failures = done.size > 0 ? 0 : this.#failures + 1;
      if (published.length > 0) onPublished?.(published);
      if (refused.length > 0) log.error({ refused }, 'Inventory queue refused events');
      if (refused.length > 0) onRefused?.(refused);
    } catch (error) {
      if (signal.aborted) return;
      this.#failures++;
      // Said once an outage: the waiting events are retried quietly.
      if (this.#failures === 1)
        log.warn({ err: errorText(error), waiting: this.#waiting.length }, 'Cannot publish inventory events');
    } finally {
      this.#inFlight = new Set();
    }
    if (this.#failures > 0) await clock.sleep(backoffMs(backoff, this.#failures, random), signal).catch(() => {});
  }

  #dropOne(): void {
    const index = Math.max(
      0,
      this.#waiting.findIndex((event) => isHeartbeat(event)),
    );
    const [dropped] = this.#waiting.splice(index, 1);
    if (dropped !== undefined && !isHeartbeat(dropped))
      this.#options.log.error(
        { event: dropped.id, type: dropped.type, subject: dropped.subject },
        'Inventory event lost: outbox is full',
      );
  }
}

function isHeartbeat(event: InventoryEvent): boolean {
  return event.type === 'dev.spotable.gameserver.heartbeat.v1';
}
