export interface QueueDescription {
  /** A name that ends in `.fifo` makes a FIFO queue. */
  name: string;
  /** As CreateQueue accepts them, such as `{ VisibilityTimeout: '2' }`. */
  attributes?: Readonly<Record<string, string>>;
  /** One of the service's own queues, for messages that were received `maxReceiveCount` times. */
  deadLetter?: { queue: string; maxReceiveCount: number };
}

/** A message that was read without being received. */
export interface PeekedMessage {
  messageId: string;
  body: string;
  /** Message attributes by name; binary ones in base64. */
  attributes: Record<string, string>;
  groupId: string | undefined;
  receiveCount: number;
  state: 'ready' | 'delayed' | 'in-flight';
}

/** The used fields of a message in fauxqs. */
interface KeptMessage {
  messageId: string;
  body: string;
  messageAttributes: Record<string, { StringValue?: string; BinaryValue?: string }>;
  messageGroupId?: string;
  approximateReceiveCount: number;
}

export interface InspectedQueue {
  messages: { ready: KeptMessage[]; delayed: KeptMessage[]; inflight: { message: KeptMessage }[] };
}

/** The only account of fauxqs. */
export const accountId = '000000000000';

const actionPrefix = 'AmazonSQS.';
const queueName = /^(?=.{1,80}$)[\w-]+(\.fifo)?$/;

export function isQueueName(text: string): boolean {
  return queueName.test(text);
}

/**
 * The body of CreateQueue. Throws a TypeError for a name that SQS would refuse, and for a dead-letter queue not in
 * `names`.
 */
export function createQueueBody(queue: QueueDescription, region: string, names: readonly string[]): object {
  const { name, attributes = {}, deadLetter } = queue;
  if (!isQueueName(name)) {
    throw new TypeError(
      `Cannot create queue ${JSON.stringify(name)}: 1 to 80 letters, digits, - and _, then .fifo or not`,
    );
  }
  if (deadLetter === undefined) return { QueueName: name, Attributes: attributes };
  if (!names.includes(deadLetter.queue)) {
    throw new TypeError(
      `Cannot create queue ${name}: its dead-letter queue ${deadLetter.queue} is not one of the queues`,
    );
  }
  const deadLetterTargetArn = `arn:aws:sqs:${region}:${accountId}:${deadLetter.queue}`;
  const policy = { deadLetterTargetArn, maxReceiveCount: deadLetter.maxReceiveCount };
  return { QueueName: name, Attributes: { ...attributes, RedrivePolicy: JSON.stringify(policy) } };
}

/** `SendMessage` of the header `AmazonSQS.SendMessage`; undefined: not an SQS request. */
export function sqsAction(targetHeader: string | string[] | undefined): string | undefined {
  const target = String(targetHeader ?? '');
  return target.startsWith(actionPrefix) ? target.slice(actionPrefix.length) : undefined;
}

/** Number of messages that a send's response reports as accepted; 0 for other actions. */
export function messagesTaken(action: string, answer: { readonly Successful?: readonly object[] }): number {
  if (action === 'SendMessage') return 1;
  return action === 'SendMessageBatch' ? (answer.Successful?.length ?? 0) : 0;
}

export function targetHeader(action: string): Record<'x-amz-target', string> {
  return { 'x-amz-target': `${actionPrefix}${action}` };
}

/**
 * The response with each queue URL on `endpoint`: fauxqs writes sqs.REGION.localhost, which not every resolver finds.
 */
export function withQueueUrlsOn(endpoint: string, answer: object): object {
  const { QueueUrl, QueueUrls } = answer as { QueueUrl?: string; QueueUrls?: string[] };
  const moved = (queueUrl: string): string => endpoint + new URL(queueUrl).pathname;
  return {
    ...answer,
    ...(QueueUrl !== undefined && { QueueUrl: moved(QueueUrl) }),
    ...(QueueUrls !== undefined && { QueueUrls: QueueUrls.map(moved) }),
  };
}

export function peekedMessages({ messages: { ready, delayed, inflight } }: InspectedQueue): PeekedMessage[] {
  return [
    ...ready.map((message) => peeked(message, 'ready')),
    ...delayed.map((message) => peeked(message, 'delayed')),
    ...inflight.map(({ message }) => peeked(message, 'in-flight')),
  ];
}

function peeked(message: KeptMessage, state: PeekedMessage['state']): PeekedMessage {
  const attributes = Object.entries(message.messageAttributes).map(
    ([name, { StringValue, BinaryValue = '' }]) => [name, StringValue ?? BinaryValue] as const,
  );
  return {
    messageId: message.messageId,
    body: message.body,
    attributes: Object.fromEntries(attributes),
    groupId: message.messageGroupId,
    receiveCount: message.approximateReceiveCount,
    state,
  };
}
