import type { Inventory } from '../../shared/events/inventory.ts';
import { SqsInventory, type SqsInventoryOptions } from '../../shared/events/sqs-inventory.ts';
import { collectGarbage } from '../../shared/v8/collect-garbage.ts';
import { seedMessage } from './seed-message.ts';

/*
 * Everything that needs the AWS SDK. A dynamic import loads it after the game has started, and only if no agent
 * publishes for us: the SDK doubles a wrapper's memory and would delay its game by 40 ms.
 */

/** Publishes to SQS from this process. */
export function publishAlone(options: SqsInventoryOptions & { readonly format: 'cloudevents' | 'seed' }): Inventory {
  const sqs = new SqsInventory(options.format === 'seed' ? { ...options, body: seedMessage } : options);
  let isTrimmed = false;
  return {
    async publish(events, signal) {
      const outcome = await sqs.publish(events, signal);
      if (!isTrimmed) collectGarbage();
      isTrimmed = true;
      return outcome;
    },
  };
}
