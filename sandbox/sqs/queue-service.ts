import { randomUUID } from 'node:crypto';
import { buildApp } from 'fauxqs';
import { Faults, serveFaultControl } from '../faults.ts';
import {
  accountId,
  createQueueBody,
  type InspectedQueue,
  messagesTaken,
  type PeekedMessage,
  peekedMessages,
  type QueueDescription,
  sqsAction,
  targetHeader,
  withQueueUrlsOn,
} from './sqs-protocol.ts';

export interface QueueServiceOptions {
  /** Queues that exist from the start. Clients may create others. */
  queues?: readonly QueueDescription[];
  /** On 127.0.0.1; default: a free one. */
  port?: number;
  /** Region of the queues, for clients that look them up by name; default: `us-east-1`. */
  region?: string;
  faults?: Faults;
}

type App = ReturnType<typeof buildApp>;

/**
 * Starts SQS on 127.0.0.1. Throws a TypeError for an invalid queue, and an Error that names the address if it cannot
 * listen.
 */
export async function startQueueService(options: QueueServiceOptions = {}): Promise<QueueService> {
  const { queues = [], port = 0, region = 'us-east-1', faults = new Faults() } = options;
  const names = queues.map(({ name }) => name);
  const service = new QueueService(buildApp({ logger: false, defaultRegion: region }), faults);
  try {
    for (const queue of queues) await service.create(createQueueBody(queue, region, names));
    await service.listen(port);
    return service;
  } catch (error) {
    await service.close();
    throw error;
  }
}

/** SQS as fauxqs implements it, with this sandbox's faults. Use {@link startQueueService}. */
export class QueueService {
  /** A rule's `path` is matched against `/?Action=SendMessage` and so on, because all SQS requests go to one path. */
  readonly faults: Faults;
  readonly #app: App;
  // An unguessable mark of this class's own requests, which no fault may hit.
  readonly #own = { 'x-sandbox-request': randomUUID() };
  #endpoint = 'http://127.0.0.1';
  #messagesTaken = 0;

  constructor(app: App, faults: Faults) {
    this.faults = faults;
    this.#app = app;
    app.addHook('onRequest', async ({ raw, headers }, reply) => {
      if (headers['x-sandbox-request'] === this.#own['x-sandbox-request']) return;
      const action = sqsAction(headers['x-amz-target']);
      const target = action === undefined ? raw.url : `/?Action=${action}`;
      const isAnswered =
        (await serveFaultControl(faults, raw, reply.raw)) || (await faults.apply(raw, reply.raw, target));
      if (isAnswered) reply.hijack();
    });
    app.addHook('preSerialization', async ({ headers, body }, reply, answer: object) => {
      const action = sqsAction(headers['x-amz-target']);
      if (action === undefined) return answer;
      if (reply.statusCode === 200) this.#messagesTaken += messagesTaken(action, answer);
      if (action !== 'ReceiveMessage') return withQueueUrlsOn(this.#endpoint, answer);
      if (reply.raw.destroyed) await this.#putBack(body as { QueueUrl: string }, answer);
      return answer;
    });
  }

  /** For an SQS client: `http://127.0.0.1:PORT`. */
  get endpoint(): string {
    return this.#endpoint;
  }

  /** Number of messages that the queues have accepted from senders. */
  get messagesTaken(): number {
    return this.#messagesTaken;
  }

  queueUrl(name: string): string {
    return `${this.#endpoint}/${accountId}/${name}`;
  }

  /** All messages of a queue, oldest first within each state. Throws an Error if there is no such queue. */
  async messages(name: string): Promise<PeekedMessage[]> {
    const answer = await this.#app.inject({ url: `/_fauxqs/queues/${encodeURIComponent(name)}`, headers: this.#own });
    if (answer.statusCode !== 200) throw new Error(`Cannot look into queue ${name}: there is none of that name`);
    return peekedMessages(answer.json<InspectedQueue>());
  }

  /** Creates a queue from a CreateQueue body. Throws a TypeError with the reason if it is refused. */
  async create(body: object): Promise<void> {
    const { statusCode, message } = await this.#call('CreateQueue', body);
    if (statusCode !== 200) throw new TypeError(`Cannot create queue ${JSON.stringify(body)}: ${message}`);
  }

  async listen(port: number): Promise<void> {
    try {
      this.#endpoint = await this.#app.listen({ port, host: '127.0.0.1' });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`Cannot start the queue service on 127.0.0.1:${port}: ${reason}`, { cause });
    }
  }

  /** Stops listening and ends long polls and connections. The messages are lost. */
  async close(): Promise<void> {
    await this.#app.close();
  }

  /**
   * fauxqs delivers messages to a long poll whose client has disconnected; they would be invisible for their whole
   * timeout.
   */
  async #putBack(
    { QueueUrl }: { QueueUrl: string },
    answer: { Messages?: { ReceiptHandle: string }[] },
  ): Promise<void> {
    for (const { ReceiptHandle } of answer.Messages ?? []) {
      await this.#call('ChangeMessageVisibility', { QueueUrl, ReceiptHandle, VisibilityTimeout: 0 });
    }
  }

  async #call(action: string, body: object): Promise<{ statusCode: number; message: string | undefined }> {
    const headers = { ...this.#own, ...targetHeader(action), 'content-type': 'application/x-amz-json-1.0' };
    const answer = await this.#app.inject({ method: 'POST', url: '/', headers, payload: JSON.stringify(body) });
    const message = answer.body === '' ? undefined : answer.json<{ message?: string }>().message;
    return { statusCode: answer.statusCode, message };
  }
}
