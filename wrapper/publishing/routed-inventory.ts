import type { InventoryEvent } from '../../shared/events/event.ts';
import type { Inventory, PublishOutcome } from '../../shared/events/inventory.ts';

export interface Routes {
  /** The agent, while it is linked and publishes for us. */
  readonly throughAgent: () => Inventory | undefined;
  /** Resolves when it is known whether the agent publishes for us. */
  readonly agentDecided: () => Promise<void>;
  /** Our own way to the queue, loaded at its first use; undefined without a queue. */
  readonly alone: (() => Promise<Inventory>) | undefined;
}

/** Takes each batch the way that is open now: the agent first, because then game pods need no AWS rights and no SDK. */
export class RoutedInventory implements Inventory {
  readonly #routes: Routes;

  constructor(routes: Routes) {
    this.#routes = routes;
  }

  hasRoute(): boolean {
    return this.#routes.alone !== undefined || this.#routes.throughAgent() !== undefined;
  }

  async publish(events: readonly InventoryEvent[], signal: AbortSignal): Promise<PublishOutcome> {
    const { throughAgent, agentDecided, alone } = this.#routes;
    if (throughAgent() === undefined) await agentDecided();
    const route = throughAgent() ?? (await alone?.());
    if (route === undefined) throw new Error('no agent that publishes, and no --queue-url');
    return route.publish(events, signal);
  }
}
