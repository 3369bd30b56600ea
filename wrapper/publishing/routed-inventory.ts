import type { InventoryEvent } from '../../shared/events/event.ts';
import type { Inventory, PublishOutcome } from '../../shared/events/inventory.ts';
import { hasCode } from '../../shared/system-error.ts';

export interface Routes {
  /** The agent's inventory, while the agent is linked and publishes for us. */
  readonly throughAgent: () => Inventory | undefined;
  /** The agent is gone but has published for us before: it is being replaced. */
  readonly mayAgentReturn: () => boolean;
  /** Resolves when it is known whether the agent publishes for us. */
  readonly agentDecided: () => Promise<void>;
  /** Our own connection to the queue, loaded at first use; undefined without a queue. */
  readonly alone: (() => Promise<Inventory>) | undefined;
}

/**
 * Sends each batch by the route that is open now. Prefer the agent: game pods then need neither AWS rights nor the SDK.
 */
export class RoutedInventory implements Inventory {
  readonly #routes: Routes;
  /** Events that were sent but neither confirmed nor refused. */
  readonly #unanswered = new Set<string>();

  constructor(routes: Routes) {
    this.#routes = routes;
  }

  hasRoute(): boolean {
    const { alone, throughAgent, mayAgentReturn } = this.#routes;
    return alone !== undefined || throughAgent() !== undefined || mayAgentReturn();
  }

  /** Whether the queue may have an event that it has not confirmed. */
  mayHaveTaken(id: string): boolean {
    return this.#unanswered.has(id);
  }

  async publish(events: readonly InventoryEvent[], signal: AbortSignal): Promise<PublishOutcome> {
    const { throughAgent, agentDecided, alone } = this.#routes;
    if (throughAgent() === undefined) await agentDecided();
    const route = throughAgent() ?? (await alone?.());
    if (route === undefined) throw new Error('no agent that publishes, and no --queue-url');
    const fresh = events.map(({ id }) => id).filter((id) => !this.#unanswered.has(id));
    for (const id of fresh) this.#unanswered.add(id);
    try {
      const outcome = await route.publish(events, signal);
      for (const id of [...outcome.published, ...outcome.refused.map((refused) => refused.id)])
        this.#unanswered.delete(id);
      return outcome;
    } catch (error) {
      // Keep earlier ids: an earlier attempt may have reached the queue.
      if (isCertain(error)) for (const id of fresh) this.#unanswered.delete(id);
      throw error;
    }
  }
}

/** Thrown if nothing was handed over. */
export class NotSent extends Error {
  override readonly name = 'NotSent';
}

/** Whether the failure proves that the queue took nothing: it has answered, or was never reached. */
function isCertain(error: unknown): boolean {
  if (error instanceof NotSent || hasCode(error, 'ECONNREFUSED', 'ENOTFOUND')) return true;
  // The AWS SDK sets `$metadata` on an error that is the service's answer.
  return error instanceof Error && '$metadata' in error && hasStatus(error.$metadata);
}

function hasStatus(metadata: unknown): boolean {
  return (
    typeof metadata === 'object' &&
    metadata !== null &&
    'httpStatusCode' in metadata &&
    metadata.httpStatusCode !== undefined
  );
}
