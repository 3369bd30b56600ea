import {
  DeleteMessageBatchCommand,
  ReceiveMessageCommand,
  SQSClient,
  type Message as SqsMessage,
} from '@aws-sdk/client-sqs';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { errorText } from '../../shared/log.ts';
import { type EventQueue, type Message, maxMessagesPerRequest, type Received, receiveWaitSeconds } from './queue.ts';

export interface SqsQueueOptions {
  readonly queueUrl: string;
  readonly region: string | undefined;
  /** Overrides the endpoint; by default the SDK uses the host of the queue's URL. */
  readonly endpoint: string | undefined;
  readonly now: () => number;
  /** 0 returns at once; the default is {@link receiveWaitSeconds}. */
  readonly waitSeconds?: number;
}

const connectMs = 3000;
/** Time for a response, in addition to the queue's own wait. */
const answerMs = 5000;

/** Reads an SQS queue, standard or FIFO. */
export class SqsQueue implements EventQueue {
  readonly #client: SQSClient;
  readonly #options: SqsQueueOptions;
  readonly #waitSeconds: number;

  constructor(options: SqsQueueOptions) {
    const { queueUrl, region, endpoint, waitSeconds = receiveWaitSeconds } = options;
    this.#options = options;
    this.#waitSeconds = waitSeconds;
    const resolvedRegion = region ?? regionOf(queueUrl);
    this.#client = new SQSClient({
      ...(resolvedRegion === undefined ? {} : { region: resolvedRegion }),
      endpoint: endpoint ?? new URL(queueUrl).origin,
      // The reader retries itself: it logs an outage once and stops the lease clock meanwhile.
      maxAttempts: 1,
      requestHandler: {
        connectionTimeout: connectMs,
        requestTimeout: waitSeconds * 1000 + answerMs,
        throwOnRequestTimeout: true,
      },
    });
  }

  async receive(signal: AbortSignal): Promise<Received> {
    // No VisibilityTimeout: the queue's own setting decides when messages of a crashed reader are delivered again.
    const command = new ReceiveMessageCommand({
      QueueUrl: this.#options.queueUrl,
      MaxNumberOfMessages: maxMessagesPerRequest,
      WaitTimeSeconds: this.#waitSeconds,
      MessageSystemAttributeNames: ['SentTimestamp'],
    });
    let date: string | undefined;
    // The response's Date header is the queue's clock, which the SDK does not expose.
    command.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        date = dateHeader(result.response);
        return result;
      },
      { step: 'deserialize', priority: 'low' },
    );
    try {
      const { Messages = [] } = await this.#client.send(command, { abortSignal: signal });
      const nowMs = this.#options.now();
      const queueNowMs = Date.parse(date ?? '') || nowMs;
      return { messages: Messages.map((message) => readMessage(message, queueNowMs)), queueNowMs };
    } catch (error) {
      throw readFailure(this.#options.queueUrl, error);
    }
  }

  async remove(messages: readonly Message[], signal: AbortSignal): Promise<number> {
    const command = new DeleteMessageBatchCommand({
      QueueUrl: this.#options.queueUrl,
      Entries: messages.map(({ receipt }, index) => ({ Id: String(index), ReceiptHandle: receipt })),
    });
    const { Failed = [] } = await this.#client.send(command, { abortSignal: signal });
    return Failed.length;
  }

  close(): void {
    this.#client.destroy();
  }
}

function readMessage({ MessageId, Body, ReceiptHandle, Attributes }: SqsMessage, queueNowMs: number): Message {
  return {
    id: MessageId ?? '',
    body: Body ?? '',
    receipt: ReceiptHandle ?? '',
    sentMs: Number(Attributes?.SentTimestamp) || queueNowMs,
  };
}

function dateHeader(response: unknown): string | undefined {
  if (typeof response !== 'object' || response === null || !('headers' in response)) return undefined;
  return (response.headers as Readonly<Record<string, string>>)['date'];
}

const noRetryHelps: Readonly<Record<string, number>> = {
  QueueDoesNotExist: exitStatus.unavailable,
  'AWS.SimpleQueueService.NonExistentQueue': exitStatus.unavailable,
  InvalidAddress: exitStatus.unavailable,
  AccessDenied: exitStatus.noPermission,
  AccessDeniedException: exitStatus.noPermission,
  InvalidClientTokenId: exitStatus.noPermission,
  UnrecognizedClientException: exitStatus.noPermission,
  InvalidSignatureException: exitStatus.noPermission,
  SignatureDoesNotMatch: exitStatus.noPermission,
  CredentialsProviderError: exitStatus.noPermission,
};

function readFailure(queueUrl: string, error: unknown): Error {
  const name = error instanceof Error ? error.name : '';
  const status = noRetryHelps[name];
  const message = `Cannot read queue ${queueUrl}: ${errorText(error)}`;
  return status === undefined
    ? new Error(message, { cause: error })
    : new FatalError(message, { cause: error, status });
}

/** `https://sqs.eu-west-1.amazonaws.com/123456789012/name` contains its region; other hosts do not. */
function regionOf(queueUrl: string): string | undefined {
  return /^sqs\.([a-z0-9-]+)\.amazonaws\.com/.exec(new URL(queueUrl).hostname)?.[1];
}
