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

/** A wrapper has few events under way; an hour without the queue leaves only its transitions, because heartbeats replace each other. */
const outboxCapacity = 200;
/** How long a wrapper outlives its game for the sake of its last events. */
const flushLimitMs = 1000;

/** Tells the inventory about this game server, in order, without ever keeping the game waiting. */
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

  /** Sends what is left, within its limit. Resolves with the number of events that nobody will get. */
  async finish(): Promise<number> {
    const { inventory, log } = this.#options;
    this.#writer.place({ instance: unknownInstance, node: undefined, publicHostname: undefined });
    if (!inventory.hasRoute()) return this.#outbox.size;
    const unsent = await this.#outbox.flush(AbortSignal.timeout(flushLimitMs));
    if (unsent.length > 0) log.error({ events: unsent.map(({ id }) => id) }, 'Inventory events lost');
    return unsent.length;
  }
}
