import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundle } from '../../build/bundle.ts';
import type { GameServerRow } from '../../inventory/fold/rows.ts';
import type { GameServerData, InventoryEvent, NodeData } from '../../shared/events/event.ts';
import { maxBatch } from '../../shared/events/inventory.ts';
import { SqsInventory } from '../../shared/events/sqs-inventory.ts';
import { measureFold } from './fold-speed.ts';
import { followEvents } from './follow-events.ts';
import { peakRssMib, start } from './processes.ts';
import { SimulatedFleet } from './simulated-fleet.ts';

// Usage: npm run bench -- inventory [--nodes N] [--storm SECONDS]. A fleet with a spot storm, through a real queue
// service and the real reader.
const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000' },
    'per-node': { type: 'string', default: '20' },
    storm: { type: 'string', default: '120' },
    share: { type: 'string', default: '0.3' },
  },
});
const nodes = Number(values.nodes);
const gameServersPerNode = Number(values['per-node']);
const stormMs = Number(values.storm) * 1000;
const share = Number(values.share);
// The wrapper's default.
const heartbeatMs = 30_000;
const leaseMs = 90_000;
const senders = 8;
const tickMs = 50;
/** List price of a million requests to a standard queue in us-east-1 and eu-west-1, after the free first million. */
const usdPerMillionRequests = 0.4;

Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'bench', AWS_SECRET_ACCESS_KEY: 'bench', AWS_REGION: 'us-east-1' });
const { foldedPerSecond, readPerSecond } = measureFold(nodes, gameServersPerNode);

const folder = await mkdtemp(join(tmpdir(), 'bench-inventory-'));
try {
  await bundle('inventory', folder);
  const queue = await start(['sandbox/sqs/main.ts', '--queue', 'events'], { says: /(http\S+\/events)/, on: 'stdout' });
  await using _queue = queue;
  const args = ['--queue-url', queue.found, '--state', join(folder, 'state.sqlite'), '--serve', '0', '--json'];
  const reader = await start([join(folder, 'inventory.cjs'), ...args], { says: /"url":"([^"]+)"/, on: 'stderr' });
  await using _reader = reader;
  await run(queue.found, reader.found, reader.child.pid);
} finally {
  await rm(folder, { recursive: true });
}

async function run(queueUrl: string, url: string, pid: number | undefined): Promise<void> {
  const inventory = new SqsInventory({ queueUrl, region: 'us-east-1', endpoint: undefined, timeoutMs: 10_000 });
  const fleet = new SimulatedFleet({ nodes, gameServersPerNode, heartbeatMs, leaseMs });
  const first = fleet.start();
  const startedMs = performance.now();
  await publish(inventory, first);
  const publishedPerSecond = (first.length / (performance.now() - startedMs)) * 1000;
  await untilFolded(url, first.length, 300_000);
  const caughtUpPerSecond = (first.length / (performance.now() - startedMs)) * 1000;

  const delays: number[] = [];
  const stop = new AbortController();
  // State changes that have not appeared yet. Heartbeats mostly change nothing visible, and appear with later changes.
  const awaited = new Set<string>();
  const following = followEvents(
    url,
    ({ row }) => {
      if (awaited.delete(eventKey(row))) delays.push(Date.now() - Date.parse(row.last_event_at));
    },
    stop.signal,
  );
  const { sent, stormStartMs } = await storm(inventory, fleet, awaited);
  await untilFolded(url, first.length + sent, 120_000);
  const tookSeconds = (performance.now() - stormStartMs) / 1000;
  stop.abort();
  await following;
  inventory.close();
  const rss = await peakRssMib(pid);
  const isRight = await isTableRight(url, fleet);
  const readerRequests = await metric(url, 'spotable_inventory_requests_total');
  report({
    publishedPerSecond,
    caughtUpPerSecond,
    eventsPerSecond: sent / tookSeconds,
    delays: delays.sort((one, other) => one - other),
    rss,
    isRight,
    readerRequestsPerEvent: readerRequests / (first.length + sent),
  });
}

/** The storm in real time: events are sent in the tick in which they occur. */
async function storm(
  inventory: SqsInventory,
  fleet: SimulatedFleet,
  awaited: Set<string>,
): Promise<{ readonly sent: number; readonly stormStartMs: number }> {
  const stormStartMs = performance.now();
  fleet.planStorm({ share, fromMs: 1000, overMs: stormMs });
  let sent = 0;
  const underWay = new Set<Promise<void>>();
  // The last node taken also needs its two minutes, unless the storm is short.
  const endMs = stormMs + 1000 + Math.min(stormMs, 110_000);
  for (let nowMs = 0; nowMs < endMs; nowMs = performance.now() - stormStartMs) {
    const events = [...fleet.until(nowMs)];
    sent += events.length;
    for (const { type, data } of events) if (!type.includes('.heartbeat.')) awaited.add(eventKey(data));
    const sending: Promise<void> = publish(inventory, events).finally(() => underWay.delete(sending));
    underWay.add(sending);
    await new Promise((resolve) => setTimeout(resolve, tickMs));
  }
  await Promise.all(underWay);
  return { sent, stormStartMs };
}

function eventKey(data: GameServerData | NodeData): string {
  return 'game_server_id' in data ? `${data.game_server_id} ${data.sequence}` : `${data.node} ${data.status}`;
}

/** Several senders, as with many nodes; one game server's events go through one of them, in order. */
async function publish(inventory: SqsInventory, events: readonly InventoryEvent[]): Promise<void> {
  const lanes = Map.groupBy(events, ({ source }) => Number.parseInt(source.slice(-4), 16) % senders);
  await Promise.all(
    [...lanes.values()].map(async (lane) => {
      for (let at = 0; at < lane.length; at += maxBatch) {
        const batch = lane.slice(at, at + maxBatch);
        const { published } = await inventory.publish(batch, AbortSignal.timeout(30_000));
        if (published.length < batch.length) throw new Error('Cannot publish: the queue does not take the events');
      }
    }),
  );
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

async function untilFolded(url: string, events: number, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while ((await metric(url, 'spotable_inventory_messages_total{outcome="folded"}')) < events) {
    if (performance.now() > deadline) throw new Error(`Cannot see ${events} events folded within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Whether every living game server is in the table with its state, and no other one is listed as living. */
async function isTableRight(url: string, fleet: SimulatedFleet): Promise<boolean> {
  const response = await fetch(`${url}game-servers?fields=own_status`);
  const { game_servers: rows } = (await response.json()) as {
    game_servers: Pick<GameServerRow, 'game_server_id' | 'own_status'>[];
  };
  const living = fleet.living();
  const shown = rows.filter(({ own_status }) => own_status !== 'terminated');
  return shown.length === living.size && shown.every((row) => living.get(row.game_server_id) === row.own_status);
}

interface Measured {
  readonly publishedPerSecond: number;
  readonly caughtUpPerSecond: number;
  readonly eventsPerSecond: number;
  readonly delays: readonly number[];
  readonly rss: number;
  readonly isRight: boolean;
  readonly readerRequestsPerEvent: number;
}

function report(measured: Measured): void {
  const { delays, rss, isRight, readerRequestsPerEvent } = measured;
  const at = (part: number): number => delays[Math.floor((delays.length - 1) * part)] ?? Number.NaN;
  // A heartbeat is up to a fifth early. Each event is a request of its own, because on a quiet node there is nothing to
  // batch it with.
  const eventsPerServerHour = 3_600_000 / (heartbeatMs * 0.9) + 4;
  const usd = (eventsPerServerHour * (1 + readerRequestsPerEvent) * usdPerMillionRequests) / 1000;
  const lines: readonly (readonly [string, string])[] = [
    [
      'fleet',
      `${nodes * gameServersPerNode} game servers on ${nodes} nodes, ${share * 100} % taken in ${stormMs / 1000} s`,
    ],
    ['folded, one core', `${foldedPerSecond.toFixed(0)} events/s`],
    ['parsed, checked and folded, one core', `${readPerSecond.toFixed(0)} events/s`],
    ['published to the queue service', `${measured.publishedPerSecond.toFixed(0)} events/s`],
    ['caught up with through the queue', `${measured.caughtUpPerSecond.toFixed(0)} events/s`],
    ['during the storm', `${measured.eventsPerSecond.toFixed(0)} events/s`],
    ['from event to table, p50 / p99 / max', `${at(0.5)} / ${at(0.99)} / ${at(1)} ms of ${delays.length} changes`],
    ['memory of the reader, peak', `${rss.toFixed(0)} MiB`],
    ['requests of the reader per event', readerRequestsPerEvent.toFixed(2)],
    [
      'SQS at list price, 1000 server-hours',
      `${usd.toFixed(4)} USD (${eventsPerServerHour.toFixed(0)} events an hour each)`,
    ],
    ['load of the machine, one minute', `${(loadavg()[0] ?? 0).toFixed(1)} on ${availableParallelism()} cores`],
    ['table at the end', isRight ? 'right' : 'WRONG'],
  ];
  for (const [name, value] of lines) console.log(`${name.padEnd(38)} ${value}`);
  console.log(
    JSON.stringify({
      folded_per_s: Math.round(foldedPerSecond),
      parsed_and_folded_per_s: Math.round(readPerSecond),
      storm_p50_ms: at(0.5),
      storm_p99_ms: at(0.99),
      reader_rss_mib: Math.round(rss),
      usd_per_1000_server_hours: Number(usd.toFixed(4)),
      table_right: isRight,
    }),
  );
  if (!isRight) process.exitCode = 1;
}
