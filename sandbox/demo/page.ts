import type { Change } from '../../inventory/fold/inventory-view.ts';
import { type InventoryServer, serveInventory } from '../../inventory/serve/serve-inventory.ts';
import { Timeline } from '../../inventory/timeline.ts';
import type { QueueConsumer } from './consumer.ts';

/** Serves the consumer's table: the live page for people, the HTTP API for the fan-out proxy. */
export async function openPage(consumer: QueueConsumer): Promise<InventoryServer> {
  const timeline = new Timeline();
  const server = await serveInventory({ view: consumer.view, timeline, port: 0, now: Date.now });
  consumer.onChanges = (changes: readonly Change[]) => {
    timeline.add(changes, Date.now());
    server.changed(changes);
  };
  return server;
}
