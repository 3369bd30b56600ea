import {
  type BatchResultErrorEntry,
  SendMessageBatchCommand,
  type SendMessageBatchRequestEntry,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { type InventoryEvent, messageGroup } from './event.ts';
import type { Inventory, PublishOutcome } from './inventory.ts';

export interface SqsInventoryOptions {
  readonly queueUrl: string;
  readonly region: string | undefined;
  /** Overrides where the queue is reached: the SDK takes the host of the queue's URL otherwise. */
  readonly endpoint: string | undefined;
  /** Connect and answer, one attempt; the SDK has no limit of its own. */
  readonly timeoutMs?: number;
  /** How an event is written; CloudEvents JSON unless said otherwise. */
  readonly body?: (event: InventoryEvent) => string;
}

/** Publishes to an SQS queue, standard or FIFO. */
export class SqsInventory implements Inventory {
  readonly #client: SQSClient;
  readonly #queueUrl: string;
  readonly #body: (event: InventoryEvent) => string;

  constructor({ queueUrl, region, endpoint, timeoutMs = 2000, body = JSON.stringify }: SqsInventoryOptions) {
    this.#queueUrl = queueUrl;
    this.#body = body;
    const resolvedRegion = region ?? regionOf(queueUrl);
    this.#client = new SQSClient({
      ...(resolvedRegion === undefined ? {} : { region: resolvedRegion }),
      endpoint: endpoint ?? new URL(queueUrl).origin,
      // Retrying is the outbox's work: it knows the deadline and keeps the order.
      maxAttempts: 1,
      requestHandler: { connectionTimeout: timeoutMs, requestTimeout: timeoutMs, throwOnRequestTimeout: true },
    });
  }

  async publish(events: readonly InventoryEvent[], signal: AbortSignal): Promise<PublishOutcome> {
    const isFifo = this.#queueUrl.endsWith('.fifo');
    const entries = events.map((event, index) => batchEntry(event, this.#body(event), index, isFifo));
    const command = new SendMessageBatchCommand({ QueueUrl: this.#queueUrl, Entries: entries });
    const result = await this.#client.send(command, { abortSignal: signal });
    const idAt = (position: string | undefined) => events[Number(position)]?.id ?? '';
    return {
      published: (result.Successful ?? []).map(({ Id }) => idAt(Id)),
      // A fault of SQS itself may pass; one of ours (SenderFault) never will.
      refused: (result.Failed ?? [])
        .filter(({ SenderFault }) => SenderFault === true)
        .map((failed) => ({ id: idAt(failed.Id), reason: describeFailure(failed) })),
    };
  }

  close(): void {
    this.#client.destroy();
  }
}

function describeFailure({ Code, Message }: BatchResultErrorEntry): string {
  return `${Code ?? 'unknown error'}: ${Message ?? 'no message'}`;
}

function batchEntry(event: InventoryEvent, body: string, index: number, isFifo: boolean): SendMessageBatchRequestEntry {
  return {
    Id: String(index),
    MessageBody: body,
    // With these a consumer filters (EventBridge Pipes, Lambda) without parsing the body.
    MessageAttributes: {
      type: { DataType: 'String', StringValue: event.type },
      status: { DataType: 'String', StringValue: event.data.status },
      region: { DataType: 'String', StringValue: event.data.region ?? 'unknown' },
    },
    ...(isFifo ? { MessageGroupId: messageGroup(event), MessageDeduplicationId: event.id } : {}),
  };
}

/** `https://sqs.eu-west-1.amazonaws.com/123456789012/name` names its region; other hosts do not. */
function regionOf(queueUrl: string): string | undefined {
  return /^sqs\.([a-z0-9-]+)\.amazonaws\.com/.exec(new URL(queueUrl).hostname)?.[1];
}
