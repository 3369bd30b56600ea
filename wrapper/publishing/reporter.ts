import type { Clock } from '../../shared/clock.ts';
import { Outbox } from '../../shared/events/outbox.ts';
import type { Log } from '../../shared/log.ts';
import { unknownInstance } from '../../shared/metadata/instance.ts';
import { EventWriter, type GameServerIdentity, type Placement, type Report } from './event-writer.ts';
import type { RoutedInventory } from './routed-inventory.ts';

export interface ReporterOptions {
  readonly identity: GameServerIdentity;
  readonly leaseMs: number;
  readonly inventory: RoutedInventory;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * A wrapper has few events in flight. An hour without the queue leaves only transitions, because heartbeats replace
 * each other.
 */
const outboxCapacity = 200;

/** Reports this game server to the inventory, in order, and never makes the game wait. */
export class Reporter {
  readonly #options: ReporterOptions;
  readonly #writer: EventWriter;
  readonly #outbox: Outbox;

  constructor(options: ReporterOptions) {
    const { identity, leaseMs, inventory, clock, log } = options;
    this.#options = options;
    this.#outbox = new Outbox({ inventory, clock, log, capacity: outboxCapacity });
    this.#writer = new EventWriter({ identity, leaseMs, now: clock.now, emit: (event) => this.#outbox.add(event) });
  }

  report(report: Report): void {
    this.#writer.report(report);
  }

  place(placement: Placement): void {
    this.#writer.place(placement);
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#outbox.run(signal);
  }

  /**
   * Sends the remaining events until the signal aborts. Resolves with the number of events that the queue has not
   * confirmed.
   */
  async finish(signal: AbortSignal): Promise<number> {
    const { inventory, log } = this.#options;
    this.#writer.place({ instance: unknownInstance, node: undefined, publicHostname: undefined });
    if (!inventory.hasRoute()) return this.#outbox.size;
    const unsent = (await this.#outbox.flush(signal)).map(({ id }) => id);
    const [unconfirmed, lost] = [true, false].map((may) => unsent.filter((id) => inventory.mayHaveTaken(id) === may));
    if (unconfirmed?.length) log.warn({ events: unconfirmed }, 'Inventory events unconfirmed: the queue may have them');
    if (lost?.length) log.error({ events: lost }, 'Inventory events lost');
    return unsent.length;
  }
}
