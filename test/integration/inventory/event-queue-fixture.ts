import { SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs';
import { type QueueService, startQueueService } from '../../../sandbox/sqs/queue-service.ts';

export const testCredentials: Readonly<Record<string, string>> = {
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_REGION: 'us-east-1',
};

export interface EventQueueFixture extends AsyncDisposable {
  readonly service: QueueService;
  readonly name: string;
  readonly url: string;
  /** Objects are sent as JSON, texts as they are. Groups of a FIFO queue: the subject, or `none`. */
  send(messages: readonly (object | string)[]): Promise<void>;
  /** What is in the queue, in flight or not. */
  size(): Promise<number>;
}

/** A queue on loopback, and a client that sends to it. */
export async function startEventQueue(
  name: string = 'events',
  attributes: Readonly<Record<string, string>> = { VisibilityTimeout: '2' },
): Promise<EventQueueFixture> {
  const service = await startQueueService({ queues: [{ name, attributes }] });
  const url = service.queueUrl(name);
  const client = new SQSClient({
    endpoint: service.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  let sent = 0;
  const entry = (message: object | string): { Id: string; MessageBody: string } => {
    const MessageBody = typeof message === 'string' ? message : JSON.stringify(message);
    const Id = String(sent++);
    const MessageGroupId = typeof message === 'object' && 'subject' in message ? String(message.subject) : 'none';
    return { Id, MessageBody, ...(name.endsWith('.fifo') ? { MessageGroupId, MessageDeduplicationId: Id } : {}) };
  };
  return {
    service,
    name,
    url,
    send: async (messages) => {
      const entries = messages.map(entry);
      for (let at = 0; at < entries.length; ) {
        // A batch may have a megabyte in all: large messages go alone.
        let to = at + 1;
        for (let size = lengthOf(entries[at]); to < entries.length && to < at + 10; to++) {
          size += lengthOf(entries[to]);
          if (size > 900_000) break;
        }
        const { Failed = [] } = await client.send(
          new SendMessageBatchCommand({ QueueUrl: url, Entries: entries.slice(at, to) }),
        );
        if (Failed.length > 0) throw new Error(`Cannot send to ${name}: ${JSON.stringify(Failed)}`);
        at = to;
      }
    },
    size: async () => (await service.messages(name)).length,
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      await service.close();
    },
  };
}

function lengthOf(entry: { MessageBody: string } | undefined): number {
  return entry?.MessageBody.length ?? 0;
}

/** Polls until the condition holds. Throws an Error with `what` when it does not within the time. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  withinMs: number = 20_000,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`Not so within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
