import type { InventoryEvent } from '../../shared/events/event.ts';
import type { Inventory, PublishOutcome, RefusedEvent } from '../../shared/events/inventory.ts';
import type { AgentMessage } from '../../shared/link/link-message.ts';
import type { AgentLink } from '../link/agent-link.ts';
import { NotSent } from './routed-inventory.ts';

interface Batch {
  readonly waiting: Set<string>;
  readonly published: string[];
  readonly refused: RefusedEvent[];
  readonly done: PromiseWithResolvers<PublishOutcome>;
}

/**
 * Hands events to the agent, which publishes them. An event stays ours until the agent reports that the queue has it.
 */
export class LinkInventory implements Inventory {
  readonly #link: Pick<AgentLink, 'send'>;
  /** Events already sent on this connection: the agent would drop a repeat. */
  #sent = new Set<string>();
  /** Answers that arrived when nobody waited, because the attempt had already timed out. */
  #early = new Map<string, RefusedEvent | undefined>();
  #batch: Batch | undefined;

  constructor(link: Pick<AgentLink, 'send'>) {
    this.#link = link;
  }

  async publish(events: readonly InventoryEvent[], signal: AbortSignal): Promise<PublishOutcome> {
    const batch: Batch = {
      waiting: new Set(events.map(({ id }) => id)),
      published: [],
      refused: [],
      done: Promise.withResolvers(),
    };
    this.#batch = batch;
    for (const event of events) this.#hand(event, batch);
    const onAbort = () =>
      batch.done.reject(new Error('Cannot publish through the agent: no answer in time', { cause: signal.reason }));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await batch.done.promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#batch = undefined;
    }
  }

  settle(outcome: Extract<AgentMessage, { type: 'published' | 'refused' }>): void {
    if (outcome.type === 'published') for (const id of outcome.ids) this.#settleOne(id, undefined);
    else for (const refused of outcome.events) this.#settleOne(refused.id, refused);
  }

  /** Events in flight may be lost: send them all again with the next attempt. */
  reset(because: string): void {
    this.#sent.clear();
    this.#early.clear();
    this.#batch?.done.reject(new Error(`Cannot publish through the agent: ${because}`));
  }

  #hand(event: InventoryEvent, batch: Batch): void {
    const { id } = event;
    if (this.#early.has(id)) {
      const refused = this.#early.get(id);
      this.#early.delete(id);
      finish(batch, id, refused);
    } else if (!this.#sent.has(id)) {
      if (!this.#link.send({ type: 'event', event }))
        batch.done.reject(new NotSent('Cannot publish through the agent: no link'));
      else this.#sent.add(id);
    }
  }

  #settleOne(id: string, refused: RefusedEvent | undefined): void {
    // Settle only events that we sent, so that both collections stay as small as the outbox.
    if (!this.#sent.delete(id)) return;
    if (this.#batch?.waiting.has(id) === true) finish(this.#batch, id, refused);
    else this.#early.set(id, refused);
  }
}

function finish(batch: Batch, id: string, refused: RefusedEvent | undefined): void {
  batch.waiting.delete(id);
  if (refused === undefined) batch.published.push(id);
  else batch.refused.push(refused);
  if (batch.waiting.size === 0) batch.done.resolve({ published: batch.published, refused: batch.refused });
}
