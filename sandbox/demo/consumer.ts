import { DeleteMessageBatchCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { type Change, InventoryView } from '../../inventory/fold/inventory-view.ts';
import type { GameServerRow } from '../../inventory/fold/rows.ts';
import type { InventoryEvent } from '../../shared/events/event.ts';
import { parseInventoryEvent } from '../../shared/events/parse-event.ts';

/** A matchmaker's view: reads the queue and folds it into a table. */
export class QueueConsumer {
  readonly #client: SQSClient;
  readonly #queueUrl: string;
  readonly #events: InventoryEvent[] = [];
  readonly refused: string[] = [];
  readonly view: InventoryView = new InventoryView();
  onChanges: (changes: readonly Change[]) => void = () => {};

  constructor(endpoint: string, queueUrl: string) {
    this.#queueUrl = queueUrl;
    this.#client = new SQSClient({
      endpoint,
      region: 'eu-west-1',
      credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
      requestHandler: { connectionTimeout: 2000, requestTimeout: 10_000, throwOnRequestTimeout: true },
    });
  }

  /** Events in the order in which the queue delivered them. */
  get events(): readonly InventoryEvent[] {
    return this.#events;
  }

  rows(): readonly GameServerRow[] {
    return this.view.rows();
  }

  /** Reads until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#readOnce(signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
    this.#client.destroy();
  }

  async #readOnce(signal: AbortSignal): Promise<void> {
    const receive = new ReceiveMessageCommand({
      QueueUrl: this.#queueUrl,
      MaxNumberOfMessages: 10,
      WaitTimeSeconds: 1,
    });
    const { Messages = [] } = await this.#client.send(receive, { abortSignal: signal });
    for (const { Body = '' } of Messages) {
      const parsed = parseInventoryEvent(Body);
      if ('event' in parsed) {
        this.#events.push(parsed.event);
        const outcome = this.view.apply(parsed.event, Date.now());
        if (outcome.kind === 'folded') this.onChanges(outcome.changes);
      } else this.refused.push(parsed.refused);
    }
    this.onChanges(this.view.expire(Date.now()));
    if (Messages.length === 0) return;
    const Entries = Messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
    await this.#client.send(new DeleteMessageBatchCommand({ QueueUrl: this.#queueUrl, Entries }), {
      abortSignal: signal,
    });
  }
}
