export interface Message {
  readonly id: string;
  readonly body: string;
  /** Deletes exactly this delivery of the message. */
  readonly receipt: string;
  /** When the queue took the message, epoch milliseconds by the queue's clock. */
  readonly sentMs: number;
}

export interface Received {
  readonly messages: readonly Message[];
  /** The queue's clock at its response, epoch milliseconds. */
  readonly queueNowMs: number;
}

export interface EventQueue {
  /**
   * Waits for messages for at most {@link receiveWaitSeconds}; may return none. Throws a FatalError if no retry can
   * help (no such queue, no permission), another error for failures that may pass.
   */
  receive(signal: AbortSignal): Promise<Received>;
  /**
   * Deletes stored messages. Resolves with the number that could not be deleted: they are delivered again, as repeats.
   */
  remove(messages: readonly Message[], signal: AbortSignal): Promise<number>;
}

/** The maximum of SQS. An idle reader asks three times a minute. */
export const receiveWaitSeconds = 20;

/** The maximum of SQS, for receiving and for deleting. */
export const maxMessagesPerRequest = 10;
