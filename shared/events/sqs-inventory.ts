import { createHash } from 'node:crypto';
import {
  type BatchResultErrorEntry,
  SendMessageBatchCommand,
  type SendMessageBatchRequestEntry,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { errorText } from '../log.ts';
import { untilAborted } from '../until-aborted.ts';
import { type InventoryEvent, messageGroup } from './event.ts';
import type { Inventory, PublishOutcome, RefusedEvent } from './inventory.ts';

export interface SqsInventoryOptions {
  readonly queueUrl: string;
  /** Signs requests for a queue whose URL names no region. */
  readonly region: string | undefined;
  /** Overrides where the queue is reached: the SDK takes the host of the queue's URL otherwise. */
  readonly endpoint: string | undefined;
  /** Connect and answer, each, of one attempt; the SDK has no limit of its own. */
  readonly timeoutMs?: number;
  /** A message's text, in JSON, for consumers that expect another form; the event itself where it is not given. */
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
    // The URL knows better: in a pod AWS_REGION is the cluster's, and its queue may be elsewhere.
    const signingRegion = regionOf(queueUrl) ?? region;
    this.#client = new SQSClient({
      ...(signingRegion === undefined ? {} : { region: signingRegion }),
      endpoint: endpoint || new URL(queueUrl).origin,
      // Retrying is the outbox's work: it knows the deadline and keeps the order.
      maxAttempts: 1,
      requestHandler: { connectionTimeout: timeoutMs, requestTimeout: timeoutMs, throwOnRequestTimeout: true },
    });
  }

  /** Rejects where the queue cannot be reached or takes nothing. What SQS will never take is named as refused. */
  async publish(events: readonly InventoryEvent[], signal: AbortSignal): Promise<PublishOutcome> {
    try {
      return await this.#send(events, signal);
    } catch (error) {
      if (!isAboutContent(error)) throw error;
      const [only] = events;
      if (events.length === 1 && only !== undefined) return { published: [], refused: [refusal(only, error)] };
      return this.#sendOneByOne(events, signal);
    }
  }

  close(): void {
    this.#client.destroy();
  }

  async #send(events: readonly InventoryEvent[], signal: AbortSignal): Promise<PublishOutcome> {
    const entries = events.map((event, index) => ({ Id: String(index), ...this.#message(event) }));
    const command = new SendMessageBatchCommand({ QueueUrl: this.#queueUrl, Entries: entries });
    // The SDK's own signal ends a request; it does not end the search for credentials, which may ask a server that hangs.
    const sending = this.#client.send(command, { abortSignal: signal });
    const { Successful = [], Failed = [] } = await untilAborted(sending, signal);
    const idAt = (position: string | undefined) => events[Number(position)]?.id ?? '';
    const refused = Failed.filter(isForGood).map((failed) => ({
      id: idAt(failed.Id),
      reason: describeFailure(failed),
    }));
    const [failed] = Failed;
    if (failed !== undefined && Successful.length + refused.length === 0)
      throw new Error(`Cannot publish to ${this.#queueUrl}: ${describeFailure(failed)}`);
    return { published: Successful.map(({ Id }) => idAt(Id)), refused };
  }

  #message(event: InventoryEvent): Omit<SendMessageBatchRequestEntry, 'Id'> {
    const fifo = { MessageGroupId: fifoText(messageGroup(event)), MessageDeduplicationId: fifoText(event.id) };
    return {
      MessageBody: escapeRare(this.#body(event)),
      // With these a consumer filters (EventBridge Pipes, Lambda) without parsing the body.
      MessageAttributes: {
        type: attribute(event.type),
        status: attribute(event.data.status),
        region: attribute(event.data.region ?? 'unknown'),
      },
      ...(this.#queueUrl.endsWith('.fifo') ? fifo : {}),
    };
  }

  /** SQS answers for all messages together when one is bad or all are too long in sum: alone, each gets its own answer. */
  async #sendOneByOne(events: readonly InventoryEvent[], signal: AbortSignal): Promise<PublishOutcome> {
    const published: string[] = [];
    const refused: RefusedEvent[] = [];
    for (const event of events) {
      try {
        const outcome = await this.#send([event], signal);
        published.push(...outcome.published);
        refused.push(...outcome.refused);
      } catch (error) {
        if (isAboutContent(error)) refused.push(refusal(event, error));
        // What is settled must not be lost with the rest, which may be sent again.
        else if (published.length + refused.length > 0) break;
        else throw error;
      }
    }
    return { published, refused };
  }
}

/** Codes by which SQS refuses a whole call for what is in it, other than for the queue, our rights or its load. */
const contentCodes: ReadonlySet<string> = new Set([
  'BatchRequestTooLong',
  'InvalidMessageContents',
  'InvalidParameterValue',
  'InvalidAttributeValue',
  'MissingParameter',
]);

function isAboutContent(error: unknown): boolean {
  return error instanceof Error && contentCodes.has(error.name.replace(/^AWS\.SimpleQueueService\./, ''));
}

/** A fault of SQS may pass, and so may throttling, which it counts as the sender's; any other fault of the sender never will. */
function isForGood({ SenderFault, Code = '' }: BatchResultErrorEntry): boolean {
  return SenderFault === true && !/thrott|kms|toomany|overlimit|unavailable|timeout/i.test(Code);
}

function describeFailure({ Code = 'unknown error', Message = 'no message' }: BatchResultErrorEntry): string {
  return `${Code}: ${Message}`;
}

function refusal({ id }: InventoryEvent, error: unknown): RefusedEvent {
  return { id, reason: errorText(error) };
}

/**
 * SQS refuses U+FFFE and U+FFFF, and some that speak its protocol all beyond U+FFFF: JSON can say these by escapes. Everything
 * else that SQS refuses JSON escapes by itself.
 */
function escapeRare(json: string): string {
  return json.replace(/[\ud800-\udfff\ufffe\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16)}`);
}

function attribute(text: string): { DataType: 'String'; StringValue: string } {
  return { DataType: 'String', StringValue: text.replace(/[^\x20-\x7e]/g, '?') || 'unknown' };
}

const maxFifoText = 128;

/**
 * SQS takes up to 128 visible ASCII characters as a message group or deduplication id; a node's name may have 253, and an event's
 * id a little more than 128. A text that does not fit keeps its beginning, for people, and a digest, to stay unmistakable.
 */
function fifoText(text: string): string {
  if (/^[!-~]{1,128}$/.test(text)) return text;
  const digest = createHash('sha256').update(text).digest('base64url');
  return `${text.replace(/[^!-~]/g, '_').slice(0, maxFifoText - digest.length - 1)}~${digest}`;
}

/**
 * The region in the host of an AWS queue: `sqs.REGION.amazonaws.com`, with `-fips`, in China or dual-stack, through a VPC
 * endpoint, or the older `REGION.queue.amazonaws.com`. Other hosts name none.
 */
function regionOf(queueUrl: string): string | undefined {
  const { hostname } = new URL(queueUrl);
  if (!/\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$/.test(hostname)) return undefined;
  const [, region, olderRegion] =
    /(?:^|\.)(?:sqs(?:-fips)?\.([a-z0-9-]+)\.|([a-z0-9-]+)\.queue\.)/.exec(hostname) ?? [];
  return region ?? olderRegion;
}
