import type { InventoryEvent } from '../../shared/events/event.ts';

/** The seed's message: a list of one object with its five names, as real JSON. */
export function seedMessage({ data }: InventoryEvent): string {
  const { region, status } = data;
  if (!('game_server_id' in data)) return JSON.stringify([{ region, status }]);
  const { public_hostname, public_port, type } = data;
  return JSON.stringify([{ public_hostname, public_port, region, status, type }]);
}
