import { type QueueService, startQueueService } from '../../../sandbox/sqs/queue-service.ts';
import type { GameServerEvent, InventoryEvent } from '../../../shared/events/event.ts';
import type { Afterwards } from './wrapper-process.ts';

export const queue = 'events.fifo';

export async function startQueue(t: Afterwards): Promise<QueueService> {
  const service = await startQueueService({ queues: [{ name: queue }] });
  t.after(() => service.close());
  return service;
}

/** Settings of a wrapper that publishes to it. */
export function toQueue(service: QueueService): { env: Record<string, string> } {
  const keys = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1' };
  return { env: { ...keys, QUEUE_URL: service.queueUrl(queue), AWS_ENDPOINT_URL_SQS: service.endpoint } };
}

export async function received(service: QueueService): Promise<GameServerEvent[]> {
  const messages = await service.messages(queue);
  return messages.map(({ body }) => JSON.parse(body) as GameServerEvent);
}

/** The state in each event's type, such as `ready`. */
export function names(events: readonly InventoryEvent[]): (string | undefined)[] {
  return events.map(({ type }) => type.split('.').at(-2));
}
