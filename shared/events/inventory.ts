import type { InventoryEvent } from './event.ts';

/** An event that the queue will never accept, and why. Log it, do not send it again. */
export interface RefusedEvent {
  readonly id: string;
  readonly reason: string;
}

export interface PublishOutcome {
  /** IDs of the events that the queue has accepted. */
  readonly published: readonly string[];
  readonly refused: readonly RefusedEvent[];
}

/** A destination of inventory events. */
export interface Inventory {
  /**
   * Sends up to {@link maxBatch} events, in order, and resolves with the outcome. An event in neither list may be sent
   * again, and so may every event after a rejection. Settles soon after the signal aborts.
   */
  publish(events: readonly InventoryEvent[], signal: AbortSignal): Promise<PublishOutcome>;
}

/** The maximum of SQS. */
export const maxBatch = 10;

/**
 * Maximum size of an event as JSON in UTF-8. Real ones have 1 to 4 KiB. This fits a line of the link with 1 KiB to
 * spare, and ten of them fit the 1 MiB of an SQS call.
 */
export const maxEventBytes = 64_512;
