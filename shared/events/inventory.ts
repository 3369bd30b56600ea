import type { InventoryEvent } from './event.ts';

/** An event that will never be taken, and why: to be named in the log, not to be sent again. */
export interface RefusedEvent {
  readonly id: string;
  readonly reason: string;
}

export interface PublishOutcome {
  /** Ids of the events that the queue has taken. */
  readonly published: readonly string[];
  readonly refused: readonly RefusedEvent[];
}

/** Where inventory events go. */
export interface Inventory {
  /**
   * Sends up to {@link maxBatch} events, in order. Resolves with what became of them; an event in neither list, and every
   * event where it rejects, may be sent again. Settles soon after the signal aborts.
   */
  publish(events: readonly InventoryEvent[], signal: AbortSignal): Promise<PublishOutcome>;
}

/** SQS takes at most ten messages a call. */
export const maxBatch = 10;

/**
 * The longest event as JSON in UTF-8. One has 1 to 4 KiB; this is what a line of the link holds, with 1 KiB left for what is
 * around it, and ten of them are less than the 1 MiB that SQS takes in a call.
 */
export const maxEventBytes = 64_512;
