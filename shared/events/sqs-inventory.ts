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
  /** Signing region, if the queue's URL names none. */
  readonly region: string | undefined;
  /** Overrides the endpoint; by default the SDK uses the host of the queue's URL. */
  readonly endpoint: string | undefined;
  /** Time limit of connecting, and of the response, in one attempt; the SDK has none of its own. */
  readonly timeoutMs?: number;
  /** A message's JSON text for consumers of another format; default: the event itself. */
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
    // The URL takes precedence: in a pod AWS_REGION is the cluster's, and the queue may be elsewhere.
    const signingRegion = regionOf(queueUrl) ?? region;
    this.#client = new SQSClient({
      ...(signingRegion === undefined ? {} : { region: signingRegion }),
      endpoint: endpoint || new URL(queueUrl).origin,
      // The outbox retries itself: it knows the deadline and keeps the order.
      maxAttempts: 1,
      requestHandler: { connectionTimeout: timeoutMs, requestTimeout: timeoutMs, throwOnRequestTimeout: true },
    });
  }

  /**
   * Rejects if the queue is unreachable or accepts nothing. Events that SQS will never accept are returned as refused.
   */
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
    // The SDK's signal ends a request, but not the search for credentials, which may ask a hanging server.
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
      // Consumers (EventBridge Pipes, Lambda) filter by these without parsing the body.
      MessageAttributes: {
        type: attribute(event.type),
        status: attribute(event.data.status),
        region: attribute(event.data.region ?? 'unknown'),
      },
      ...(this.#queueUrl.endsWith('.fifo') ? fifo : {}),
    };
  }

  /** SQS fails a whole batch if one message is invalid or the sum is too long. Sent alone, each gets its own result. */
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
        // The settled events must not be lost with the others, which may be sent again.
        else if (published.length + refused.length > 0) break;
        else throw error;
      }
    }
    return { published, refused };
  }
}

/**
 * Error codes by which SQS refuses a whole call for its content, and not for the queue, our permissions or the load.
 */
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

/**
 * A fault of SQS may pass, and so may throttling, although SQS counts it as the sender's fault. Other sender faults are
 * permanent.
 */
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
 * SQS refuses U+FFFE and U+FFFF, and some compatible services all characters beyond U+FFFF, so these are written as
 * JSON escapes. JSON itself escapes everything else that SQS refuses.
 */
function escapeRare(json: string): string {
  return json.replace(/[\ud800-\udfff\ufffe\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16)}`);
}

function attribute(text: string): { DataType: 'String'; StringValue: string } {
  return { DataType: 'String', StringValue: text.replace(/[^\x20-\x7e]/g, '?') || 'unknown' };
}

const maxFifoText = 128;

/**
 * SQS accepts up to 128 visible ASCII characters as a message group or deduplication ID. A node's name may have 253,
 * and an event's ID a little more than 128. A longer text keeps its beginning, for people, and gets a digest, to stay
 * unique.
 */
function fifoText(text: string): string {
  if (/^[!-~]{1,128}$/.test(text)) return text;
  const digest = createHash('sha256').update(text).digest('base64url');
  return `${text.replace(/[^!-~]/g, '_').slice(0, maxFifoText - digest.length - 1)}~${digest}`;
}

/**
 * The region in the host of an AWS queue: `sqs.REGION.amazonaws.com`, with `-fips`, in China or dual-stack, through a
 * VPC endpoint, or the older `REGION.queue.amazonaws.com`. Other hosts contain none.
 */
function regionOf(queueUrl: string): string | undefined {
  const { hostname } = new URL(queueUrl);
  if (!/\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$/.test(hostname)) return undefined;
  const [, region, olderRegion] =
    /(?:^|\.)(?:sqs(?:-fips)?\.([a-z0-9-]+)\.|([a-z0-9-]+)\.queue\.)/.exec(hostname) ?? [];
  return region ?? olderRegion;
}
