import type { Clock } from '../clock.ts';
import { errorText, type Log } from '../log.ts';
import { NewCauses } from '../new-causes.ts';
import { type Backoff, RetryPause } from '../retry.ts';
import type { InventoryEvent } from './event.ts';
import { type Inventory, maxBatch, maxEventBytes, type PublishOutcome, type RefusedEvent } from './inventory.ts';

export interface OutboxOptions {
  readonly inventory: Inventory;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
  /** Maximum number of waiting events. */
  readonly capacity?: number;
  /** Time limit of one attempt. */
  readonly attemptMs?: number;
  readonly onPublished?: (ids: readonly string[]) => void;
  /**
   * Called with events that are dropped unpublished: the queue refused them, they are too long, the outbox was full, or
   * a newer event superseded a heartbeat. The sender need not wait for them any more.
   */
  readonly onRefused?: (events: readonly RefusedEvent[]) => void;
}

const backoff: Backoff = { firstMs: 100, maxMs: 5000 };
/** A flush has little time left, so it retries quickly. */
const flushBackoff: Backoff = { firstMs: 100, maxMs: 250 };

/**
 * Keeps inventory events until the queue has accepted them, in order for each subject. Only one call is in flight at a
 * time, with at most one event of each subject, so that neither a late response nor a partly accepted call lets a newer
 * event overtake an older one.
 */
export class Outbox {
  readonly #options: OutboxOptions & Required<Pick<OutboxOptions, 'capacity' | 'attemptMs'>>;
  #waiting: InventoryEvent[] = [];
  #inFlight: ReadonlySet<string> = new Set();
  #added = Promise.withResolvers<void>();
  /** Shared by all callers that wait until the outbox is empty. */
  #emptied: PromiseWithResolvers<void> | undefined;
  #pause = new AbortController();
  #flushes = 0;
  readonly #retries: RetryPause;
  readonly #causes = new NewCauses();

  constructor(options: OutboxOptions) {
    this.#options = { capacity: 1000, attemptMs: 5000, ...options };
    this.#retries = new RetryPause({ backoff, clock: options.clock, random: options.random });
  }

  get size(): number {
    return this.#waiting.length;
  }

  /**
   * Never blocks. Adding a waiting event again has no effect. A newer event supersedes the waiting heartbeats of its
   * subject.
   */
  add(event: InventoryEvent): void {
    if (this.#waiting.some(({ id }) => id === event.id)) return;
    const problem = problemWith(event);
    if (problem !== undefined) {
      this.#letGo([event], problem);
      return;
    }
    const needless = this.#waiting.filter(
      (other) => isHeartbeat(other) && other.subject === event.subject && !this.#inFlight.has(other.id),
    );
    this.#letGo(needless, 'superseded by a newer event of the same game server');
    this.#waiting.push(event);
    if (this.#waiting.length > this.#options.capacity)
      this.#letGo(this.#leastImportant(), `the outbox is full: ${this.#options.capacity} events wait`);
    this.#added.resolve();
  }

  /** Takes an event back, for example because it was published by another way. */
  remove(id: string): void {
    this.#forget(new Set([id]));
  }

  /** Sends events until the signal aborts. Never rejects: a failing queue is retried with growing pauses. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = () => this.#added.resolve();
    signal.addEventListener('abort', stop, { once: true });
    while (!signal.aborted) {
      if (this.#waiting.length > 0) await this.#sendBatch(signal);
      else {
        await this.#added.promise;
        this.#added = Promise.withResolvers();
      }
    }
    signal.removeEventListener('abort', stop);
  }

  /**
   * Waits until the outbox is empty or the signal aborts, and resolves with the unsent events. Ends a pause of `run`.
   */
  async flush(signal: AbortSignal): Promise<readonly InventoryEvent[]> {
    const gaveUp = Promise.withResolvers<void>();
    const giveUp = () => gaveUp.resolve();
    signal.addEventListener('abort', giveUp, { once: true });
    this.#flushes++;
    this.#pause.abort();
    while (this.#waiting.length > 0 && !signal.aborted) {
      this.#emptied ??= Promise.withResolvers();
      await Promise.race([this.#emptied.promise, gaveUp.promise]);
    }
    this.#flushes--;
    signal.removeEventListener('abort', giveUp);
    return [...this.#waiting];
  }

  async #sendBatch(signal: AbortSignal): Promise<void> {
    const { inventory, attemptMs } = this.#options;
    const batch = this.#nextBatch();
    this.#inFlight = new Set(batch.map(({ id }) => id));
    let outcome: PublishOutcome = { published: [], refused: [] };
    let failure: unknown = new Error('the queue accepted none of the events');
    try {
      outcome = await inventory.publish(batch, AbortSignal.any([signal, AbortSignal.timeout(attemptMs)]));
    } catch (error) {
      failure = error;
    }
    this.#inFlight = new Set();
    const hasProgress = this.#settle(batch, outcome);
    if (hasProgress) this.#recover();
    else if (!signal.aborted) await this.#waitAfter(failure, signal);
  }

  #nextBatch(): InventoryEvent[] {
    const batch = new Map<string, InventoryEvent>();
    for (const event of this.#waiting) {
      if (!batch.has(event.subject)) batch.set(event.subject, event);
      if (batch.size === maxBatch) break;
    }
    return [...batch.values()];
  }

  /** Removes the settled events; whether there were any. */
  #settle(batch: readonly InventoryEvent[], { published, refused }: PublishOutcome): boolean {
    const settled = new Set([...published, ...refused.map(({ id }) => id)]);
    const hasProgress = batch.some(({ id }) => settled.has(id));
    this.#forget(new Set(published));
    if (published.length > 0) this.#options.onPublished?.(published);
    for (const { id, reason } of refused)
      this.#letGo(
        batch.filter((event) => event.id === id),
        reason,
      );
    return hasProgress;
  }

  #recover(): void {
    const { failures } = this.#retries;
    if (failures > 0) this.#options.log.info({ failures }, 'Inventory queue accepts events again');
    this.#retries.progressed();
    this.#causes.clear();
  }

  async #waitAfter(failure: unknown, signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    this.#retries.failed();
    // Logged once per cause and outage, because waiting events are retried often.
    const err = errorText(failure);
    if (this.#causes.isNew(err)) log.warn({ err, waiting: this.#waiting.length }, 'Cannot publish inventory events');
    this.#pause = new AbortController();
    const until = AbortSignal.any([signal, this.#pause.signal]);
    await this.#retries.wait(until, this.#flushes > 0 ? { backoff: flushBackoff } : {});
  }

  #letGo(events: readonly InventoryEvent[], reason: string): void {
    if (events.length === 0) return;
    const { log, onRefused } = this.#options;
    this.#forget(new Set(events.map(({ id }) => id)));
    for (const { id, type, subject } of events.filter((event) => !isHeartbeat(event)))
      log.error({ event: id, type, subject, reason }, 'Inventory event lost');
    onRefused?.(events.map(({ id }) => ({ id, reason })));
  }

  #forget(ids: ReadonlySet<string>): void {
    this.#waiting = this.#waiting.filter(({ id }) => !ids.has(id));
    if (this.#waiting.length > 0) return;
    this.#emptied?.resolve();
    this.#emptied = undefined;
  }

  /**
   * The least important event: the oldest heartbeat; otherwise the oldest event that a newer one of its subject
   * replaces; otherwise the oldest.
   */
  #leastImportant(): InventoryEvent[] {
    const idle = this.#waiting.filter(({ id }) => !this.#inFlight.has(id));
    const newest = new Map(this.#waiting.map((event) => [event.subject, event]));
    const outdated = idle.filter((event) => newest.get(event.subject) !== event);
    return [...idle.filter(isHeartbeat), ...outdated, ...idle].slice(0, 1);
  }
}

/** Why an event can never be sent. Checked before it is queued, so that it delays no other. */
function problemWith(event: InventoryEvent): string | undefined {
  try {
    const bytes = Buffer.byteLength(JSON.stringify(event));
    return bytes > maxEventBytes ? `${bytes} bytes, expected at most ${maxEventBytes}` : undefined;
  } catch (error) {
    // A peer's unknown fields may be nested so deeply that they can be parsed but not written.
    return errorText(error);
  }
}

function isHeartbeat(event: InventoryEvent): boolean {
  return event.type === 'dev.spotable.gameserver.heartbeat.v1';
}
