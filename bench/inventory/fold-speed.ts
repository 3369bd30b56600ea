import { InventoryView } from '../../inventory/fold/inventory-view.ts';
import type { InventoryEvent } from '../../shared/inventory/event.ts';
import { parseInventoryEvent } from '../../shared/inventory/parse-event.ts';
import { SimulatedFleet } from './simulated-fleet.ts';

export interface FoldSpeed {
  /** From parsed events, one core. */
  readonly foldedPerSecond: number;
  /** From the text of the message: parse, check, fold. */
  readonly readPerSecond: number;
}

const rounds = 5;

/** Two minutes of a fleet with a storm in it, folded on this core; the median of some rounds. */
export function measureFold(nodes: number, gameServersPerNode: number): FoldSpeed {
  const fleet = new SimulatedFleet({ nodes, gameServersPerNode, heartbeatMs: 10_000, leaseMs: 30_000 });
  const events: InventoryEvent[] = [...fleet.start()];
  fleet.planStorm({ share: 0.3, fromMs: 10_000, overMs: 120_000 });
  for (let nowMs = 1000; nowMs <= 120_000; nowMs += 1000) events.push(...fleet.until(nowMs));
  const texts = events.map((event) => JSON.stringify(event));
  const folds: number[] = [];
  const reads: number[] = [];
  for (let round = 0; round < rounds; round++) {
    folds.push(perSecond(events, (view, event) => view.apply(event, Date.now())));
    reads.push(
      perSecond(texts, (view, text) => {
        const parsed = parseInventoryEvent(text);
        if ('refused' in parsed) throw new Error(`Cannot read an event of the fleet: ${parsed.refused}`);
        view.apply(parsed.event, Date.now());
      }),
    );
  }
  return { foldedPerSecond: median(folds), readPerSecond: median(reads) };
}

function perSecond<Item>(items: readonly Item[], fold: (view: InventoryView, item: Item) => void): number {
  const view = new InventoryView();
  // CPU time of all threads, the garbage collector's included: what else the machine does is not in it.
  const start = process.cpuUsage();
  for (const item of items) fold(view, item);
  const { user, system } = process.cpuUsage(start);
  return (items.length / (user + system)) * 1_000_000;
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}
