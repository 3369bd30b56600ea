/** A message as the queue hands it out. */
export interface Message {
  readonly id: string;
  readonly body: string;
  /** What deletes exactly this delivery of the message. */
  readonly receipt: string;
  /** When the queue took the message from its sender, epoch milliseconds by the queue's clock. */
  readonly sentMs: number;
}

export interface Received {
  readonly messages: readonly Message[];
  /** The queue's clock when it answered, epoch milliseconds. */
  readonly queueNowMs: number;
}

/** Where events come from. */
export interface EventQueue {
  /**
   * Waits for messages, at most {@link receiveWaitSeconds}; none is an answer too. Throws a FatalError for what no retry can
   * cure (no such queue, no right to read it), another error for what may pass.
   */
  receive(signal: AbortSignal): Promise<Received>;
  /** Deletes what is folded and stored. Resolves with how many could not be deleted: those come again, as repeats. */
  remove(messages: readonly Message[], signal: AbortSignal): Promise<number>;
}

/** The longest that SQS waits. An idle reader asks three times a minute. */
export const receiveWaitSeconds = 20;

/** SQS hands out and deletes at most ten messages a request. */
export const maxMessagesPerRequest = 10;
