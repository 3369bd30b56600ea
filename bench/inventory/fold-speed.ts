import { InventoryView } from '../../inventory/fold/inventory-view.ts';
import type { InventoryEvent } from '../../shared/events/event.ts';
import { parseInventoryEvent } from '../../shared/events/parse-event.ts';
import { SimulatedFleet } from './simulated-fleet.ts';

export interface FoldSpeed {
  /** From parsed events, one core. */
  readonly foldedPerSecond: number;
  /** From the message's text: parse, check, fold. */
  readonly readPerSecond: number;
}

const rounds = 5;
/** Events parsed before they are folded: as few as in the reader, so that they are still in the CPU cache. */
const batch = 100;

/** Folds two minutes of a fleet with a storm on one core; the median of several rounds. */
export function measureFold(nodes: number, gameServersPerNode: number): FoldSpeed {
  const fleet = new SimulatedFleet({ nodes, gameServersPerNode, heartbeatMs: 10_000, leaseMs: 30_000 });
  const texts = fleet.start().map((event) => JSON.stringify(event));
  fleet.planStorm({ share: 0.3, fromMs: 10_000, overMs: 120_000 });
  for (let nowMs = 1000; nowMs <= 120_000; nowMs += 1000)
    for (const event of fleet.until(nowMs)) texts.push(JSON.stringify(event));
  const measured = Array.from({ length: rounds }, () => readAll(texts));
  return {
    foldedPerSecond: median(measured.map(({ foldedPerSecond }) => foldedPerSecond)),
    readPerSecond: median(measured.map(({ readPerSecond }) => readPerSecond)),
  };
}

/** In CPU time of this thread, which excludes other load on the machine. */
function readAll(texts: readonly string[]): FoldSpeed {
  const view = new InventoryView();
  let foldMicros = 0;
  const startMicros = cpuMicros();
  for (let at = 0; at < texts.length; at += batch) {
    const events = texts.slice(at, at + batch).map(parse);
    const foldStart = cpuMicros();
    for (const event of events) view.apply(event, Date.now());
    foldMicros += cpuMicros() - foldStart;
  }
  const readMicros = cpuMicros() - startMicros;
  return {
    foldedPerSecond: (texts.length / foldMicros) * 1_000_000,
    readPerSecond: (texts.length / readMicros) * 1_000_000,
  };
}

function cpuMicros(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

function parse(text: string): InventoryEvent {
  const parsed = parseInventoryEvent(text);
  if ('refused' in parsed) throw new Error(`Cannot read an event of the fleet: ${parsed.refused}`);
  return parsed.event;
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}
