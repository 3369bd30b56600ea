import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { InventoryView } from '../../../inventory/fold/inventory-view.ts';
import { Intake } from '../../../inventory/intake.ts';
import { LeaseClock } from '../../../inventory/queue/lease-clock.ts';
import { SqsQueue } from '../../../inventory/queue/sqs-queue.ts';
import { readInventory } from '../../../inventory/reader.ts';
import { InventoryStore } from '../../../inventory/store/inventory-store.ts';
import { systemClock } from '../../../shared/clock.ts';
import { FatalError } from '../../../shared/exit-status.ts';
import { silentLog } from '../../../shared/log.ts';
import { type EventQueueFixture, startEventQueue, testCredentials, until } from './event-queue-fixture.ts';
import { sampleEvent, sampleNodeEvent } from './sample-events.ts';

Object.assign(process.env, testCredentials);

interface RunningReader extends AsyncDisposable {
  readonly view: InventoryView;
  readonly store: InventoryStore;
  readonly leaseClock: LeaseClock;
  readonly done: Promise<void>;
  readonly warnings: string[];
  status(id: string): string | undefined;
}

/** The reader within this process, with a state file that `path` names or none. */
function startReader(
  queue: EventQueueFixture,
  path = ':memory:',
  store = new InventoryStore(path, queue.url),
): RunningReader {
  const stored = store.read();
  const leaseClock = new LeaseClock(stored.leaseNowMs);
  const view = new InventoryView();
  view.restore(stored.gameServers, stored.nodes);
  const intake = new Intake({ view, store, leaseClock, now: systemClock.now });
  const sqs = new SqsQueue({
    queueUrl: queue.url,
    region: 'us-east-1',
    endpoint: undefined,
    now: systemClock.now,
    waitSeconds: 1,
  });
  const stop = new AbortController();
  const warnings: string[] = [];
  const done = readInventory(
    {
      queue: sqs,
      intake,
      clock: systemClock,
      log: { ...silentLog, warn: (_, message) => void warnings.push(message) },
      maxPollers: 4,
      onChanges: () => {},
    },
    stop.signal,
  );
  // Who waits for the failure gets it; until then it is not unhandled.
  done.catch(() => {});
  return {
    view,
    store,
    leaseClock,
    done,
    warnings,
    status: (id) => view.row(id)?.status,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done.catch(() => {});
      intake.flush();
      sqs.close();
      store.close();
    },
  };
}

for (const name of ['events', 'events.fifo'])
  test(`a reader of ${name} folds every event and leaves the queue empty`, async () => {
    await using queue = await startEventQueue(name);
    await using reader = startReader(queue);
    const ids = Array.from({ length: 60 }, (_, index) => `gs-${index}`);
    await queue.send(ids.map((id) => sampleEvent({ id, status: 'starting', sequence: 1 })));
    await queue.send(ids.map((id) => sampleEvent({ id, status: 'ready', sequence: 2 })));
    await until('all are ready', () => ids.every((id) => reader.status(id) === 'ready'));
    await until('the queue is empty', async () => (await queue.size()) === 0);
    assert.equal(reader.store.read().counts.get('folded'), 120);
  });

const good = sampleEvent({ id: 'gs-poisoner', status: 'ready', sequence: 1 });
const poison: readonly (readonly [code: string, message: object | string])[] = [
  ['not-json', 'not JSON at all {'],
  ['wrong-shape', '[{"public_hostname":"a","public_port":1}]'],
  ['wrong-shape', { ...good, data: { ...good.data, public_port: 'seventy' } }],
  ['wrong-shape', { ...good, data: { ...good.data, game_server_id: '../../etc/passwd' } }],
  ['wrong-shape', { ...good, data: null }],
  ['too-long', { ...good, padding: 'x'.repeat(1_000_000) }],
  ['unknown-type', { ...good, type: 'com.example.something' }],
  ['newer-version', { ...good, type: 'dev.spotable.gameserver.ready.v2' }],
  ['conflict', { ...good, data: { ...good.data, public_port: 4 } }],
  ['conflict', sampleNodeEventWithId(good.id)],
];

function sampleNodeEventWithId(id: string): object {
  return { ...sampleNodeEvent('node-9', 'interrupted', 1), id };
}

for (const name of ['events', 'events.fifo'])
  test(`poison in ${name} is set aside with its reason, counted, and stops nobody`, async () => {
    await using queue = await startEventQueue(name);
    await using reader = startReader(queue);
    await queue.send([good]);
    await until('the first is folded', () => reader.status('gs-poisoner') === 'ready');
    await queue.send(poison.map(([, message]) => message));
    await queue.send([sampleEvent({ id: 'gs-after', status: 'ready', sequence: 1 })]);
    await until('what came after the poison is folded', () => reader.status('gs-after') === 'ready');
    await until('the queue is empty', async () => (await queue.size()) === 0);
    const aside = reader.store.setAside(100);
    assert.deepEqual(aside.map(({ code }) => code).sort(), poison.map(([code]) => code).sort());
    for (const { reason, body, messageId } of aside) assert.ok(reason !== '' && body !== '' && messageId !== '');
    const { counts } = reader.store.read();
    const counted = [...counts].filter(([code]) => code.startsWith('set-aside/')).map(([, count]) => count);
    assert.equal(
      counted.reduce((sum, count) => sum + count, 0),
      poison.length,
    );
    assert.equal(reader.view.row('gs-poisoner')?.public_port, 20_000, 'what was folded first stays');
  });

test('what cannot be stored is not deleted, and ends the reader with a line that names the file', async () => {
  await using queue = await startEventQueue();
  const store = new InventoryStore(':memory:', queue.url);
  store.write = () => {
    throw new FatalError('Cannot write inventory state: disk full', { status: 71 });
  };
  await using reader = startReader(queue, ':memory:', store);
  await queue.send([sampleEvent({ id: 'gs-1', status: 'ready', sequence: 1 })]);
  await assert.rejects(reader.done, /disk full/);
  assert.equal(await queue.size(), 1);
});

test('a queue that fails for a while is read again, said once, and costs nobody the lease', async () => {
  await using queue = await startEventQueue();
  await using reader = startReader(queue);
  await queue.send([sampleEvent({ id: 'gs-1', status: 'ready', sequence: 1, leaseMs: 1500 })]);
  await until('it is ready', () => reader.status('gs-1') === 'ready');
  const before = reader.leaseClock.nowMs;
  queue.service.faults.add({ path: 'ReceiveMessage', fault: { kind: 'status', status: 500 } });
  await until('the outage is noticed', () => reader.warnings.length > 0);
  const outageMs = Date.now();
  await until('the lease would be over by the wall', () => Date.now() > outageMs + 3000);
  assert.equal(reader.status('gs-1'), 'ready');
  assert.deepEqual(reader.warnings, ['Cannot read the inventory queue']);
  await queue.send([
    sampleEvent({ id: 'gs-1', status: 'allocated', sequence: 2, leaseMs: 60_000 }),
    sampleEvent({ id: 'gs-2', status: 'ready', sequence: 1, leaseMs: 1 }),
  ]);
  queue.service.faults.clear();
  await until('it goes on', () => reader.status('gs-1') === 'allocated');
  await until('who really is silent is lost', () => reader.status('gs-2') === 'lost');
  assert.ok(reader.leaseClock.nowMs > before);
});

test('answers that break off, hang up or are nonsense do no harm', async () => {
  await using queue = await startEventQueue();
  await using reader = startReader(queue);
  for (const fault of [{ kind: 'reset' }, { kind: 'garbage' }, { kind: 'status', status: 403 }] as const)
    queue.service.faults.add({ path: 'ReceiveMessage', fault, times: 1 });
  queue.service.faults.add({ path: 'DeleteMessageBatch', fault: { kind: 'reset' }, times: 2 });
  await until('the reader is past its start', () => reader.warnings.length > 0);
  await queue.send([sampleEvent({ id: 'gs-1', status: 'ready', sequence: 1 })]);
  await until('it is ready', () => reader.status('gs-1') === 'ready');
  await until('it is deleted in the end', async () => (await queue.size()) === 0);
  const { counts } = reader.store.read();
  assert.equal(counts.get('folded'), 1);
  assert.ok((counts.get('repeat') ?? 0) >= 1, 'it came again, and counted as a repeat');
});

test('a reader that was away catches up from the queue, and calls nobody lost for its own absence', async () => {
  await using queue = await startEventQueue();
  const folder = await mkdtemp(join(tmpdir(), 'inventory-'));
  const path = join(folder, 'state.sqlite');
  try {
    {
      await using reader = startReader(queue, path);
      await queue.send([sampleEvent({ id: 'gs-1', status: 'ready', sequence: 1, leaseMs: 4000 })]);
      await until('it is stored', () => reader.store.read().counts.get('folded') === 1);
    }
    const awayMs = Date.now();
    await until('the first lease is over', () => Date.now() > awayMs + 4500);
    await queue.send([
      sampleEvent({ id: 'gs-1', status: 'ready', sequence: 2, leaseMs: 60_000, players: 3 }),
      sampleNodeEvent('node-1', 'interrupted', 1),
    ]);
    await using reader = startReader(queue, path);
    assert.equal(reader.status('gs-1'), 'ready', 'as it was when the reader went');
    await until('it has caught up', () => reader.status('gs-1') === 'terminating');
    // What is folded is seen first and stored a moment later; the two events may come in either order.
    await until('it is stored', () => reader.store.read().counts.get('folded') === 3);
    const statuses = reader.store.read().timeline.map(({ after }) => after);
    assert.ok(!statuses.includes('lost'), statuses.join());
    assert.equal(reader.view.row('gs-1')?.players, 3);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a delete that hangs keeps nobody from being heard', async () => {
  await using queue = await startEventQueue('events', { VisibilityTimeout: '30' });
  await using reader = startReader(queue);
  queue.service.faults.add({ path: 'DeleteMessageBatch', fault: { kind: 'hang' }, times: 3 });
  for (const sequence of [1, 2, 3, 4]) {
    const sentMs = Date.now();
    await queue.send([sampleEvent({ id: 'gs-1', status: 'ready', sequence, players: sequence })]);
    await until('it is heard', () => reader.view.row('gs-1')?.players === sequence);
    assert.ok(Date.now() - sentMs < 3000, `heard after ${Date.now() - sentMs} ms`);
  }
});
