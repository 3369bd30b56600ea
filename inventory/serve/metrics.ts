import { Counter, Gauge, Registry } from 'prom-client';
import { gameServerStates, nodeStates } from '../../shared/events/event.ts';
import { refusalCodes } from '../../shared/events/parse-event.ts';
import type { InventoryView } from '../fold/inventory-view.ts';
import { counterNames } from '../intake.ts';

export interface MetricsSource {
  readonly view: InventoryView;
  /** By counter name, since the state file was created. */
  readonly counts: ReadonlyMap<string, number>;
  readonly now: () => number;
  readonly streamClients: () => number;
}

/** The metrics, read at each scrape. Labels take few values, all known beforehand. */
export function inventoryMetrics({ view, counts, now, streamClients }: MetricsSource): Registry {
  const registers = [new Registry()];
  new Counter({
    name: 'spotable_inventory_messages_total',
    help: 'Messages read from the queue, by outcome; each counts once',
    labelNames: ['outcome'],
    registers,
    collect() {
      this.reset();
      for (const outcome of counterNames) this.inc({ outcome }, counts.get(outcome) ?? 0);
    },
  });
  new Counter({
    name: 'spotable_inventory_set_aside_total',
    help: 'Messages set aside because they are not valid events or contradict one, by reason',
    labelNames: ['reason'],
    registers,
    collect() {
      this.reset();
      for (const reason of [...refusalCodes, 'conflict']) this.inc({ reason }, counts.get(`set-aside/${reason}`) ?? 0);
    },
  });
  new Counter({
    name: 'spotable_inventory_requests_total',
    help: 'Requests to the queue since this reader started; AWS bills each',
    labelNames: ['action'],
    registers,
    collect() {
      this.reset();
      for (const action of ['receive', 'delete']) this.inc({ action }, counts.get(`request/${action}`) ?? 0);
    },
  });
  new Gauge({
    name: 'spotable_inventory_game_servers',
    help: 'Game servers in the table',
    labelNames: ['status'],
    registers,
    collect() {
      for (const status of gameServerStates) this.set({ status }, 0);
      for (const { status } of view.rows()) this.inc({ status });
    },
  });
  new Gauge({
    name: 'spotable_inventory_nodes',
    help: 'Nodes with events',
    labelNames: ['status'],
    registers,
    collect() {
      for (const status of nodeStates) this.set({ status }, 0);
      for (const { status } of view.nodes()) this.inc({ status });
    },
  });
  new Gauge({
    name: 'spotable_inventory_behind_seconds',
    help: 'Delay of the table behind the queue; grows while the queue cannot be read',
    registers,
    collect() {
      this.set(Number.isFinite(view.nowMs) ? Math.max(0, (now() - view.nowMs) / 1000) : Number.NaN);
    },
  });
  new Gauge({
    name: 'spotable_inventory_event_stream_clients',
    help: 'Clients connected to /events',
    registers,
    collect() {
      this.set(streamClients());
    },
  });
  return registers[0] ?? new Registry();
}
