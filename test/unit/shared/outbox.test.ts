import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { InventoryEvent } from '../../../shared/events/event.ts';
import type { RefusedEvent } from '../../../shared/events/inventory.ts';
import { Outbox, type OutboxOptions } from '../../../shared/events/outbox.ts';
import { type Log, silentLog } from '../../../shared/log.ts';
import { type Answer, event, fail, hang, ScriptedInventory, SleeplessClock, takeAll } from './scripted-inventory.ts';

interface Setup {
  readonly outbox: Outbox;
  readonly inventory: ScriptedInventory;
  readonly clock: SleeplessClock;
  readonly published: string[];
  readonly refused: RefusedEvent[];
  readonly lines: { level: string; message: string; fields: object }[];
}

function setUp(answers: readonly Answer[] = [takeAll], options: Partial<OutboxOptions> = {}): Setup {
  const inventory = new ScriptedInventory(...answers);
  const clock = new SleeplessClock();
  const published: string[] = [];
  const refused: RefusedEvent[] = [];
  const lines: Setup['lines'] = [];
  const at = (level: string) => (fields: object, message: string) => lines.push({ level, message, fields });
  const log: Log = { ...silentLog, info: at('info'), warn: at('warn'), error: at('error') };
  const outbox = new Outbox({
    inventory,
    clock,
    log,
    random: () => 1,
    onPublished: (ids) => published.push(...ids),
    onRefused: (events) => refused.push(...events),
    ...options,
  });
  return { outbox, inventory, clock, published, refused, lines };
}

/** Runs until nothing waits, for at most 5 s. */
async function sendAll(outbox: Outbox, events: readonly InventoryEvent[] = []): Promise<void> {
  const stop = new AbortController();
  for (const each of events) outbox.add(each);
  const running = outbox.run(stop.signal);
  assert.deepEqual(await outbox.flush(AbortSignal.timeout(5000)), []);
  stop.abort();
  await running;
}

/** After everything that can go on without an answer or a timer has gone on. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const servers = (count: number): string[] => Array.from({ length: count }, (_, index) => `gs-${index}`);

test('events of different servers go together, ten a call, in the order in which they came', async () => {
  const { outbox, inventory, published } = setUp();
  const events = servers(23).map((server) => event(server, 1));
  await sendAll(outbox, events);
  assert.deepEqual(
    inventory.calls.map(({ length }) => length),
    [10, 10, 3],
  );
  assert.deepEqual(
    published,
    events.map(({ id }) => id),
  );
});

test('a call that is taken in part lets no event overtake an older one of its server', async () => {
  const takeAllButFirst: Answer = (ids) => ({ published: ids.slice(1), refused: [] });
  const { outbox, inventory } = setUp([takeAllButFirst, takeAll]);
  await sendAll(outbox, [event('a', 1), event('a', 2, 'terminating'), event('b', 1), event('b', 2, 'terminating')]);
  assert.deepEqual(inventory.published, ['b/1/ready', 'a/1/ready', 'b/2/terminating', 'a/2/terminating']);
});

test('a queue that is away is tried again, ever more slowly, and named once when it goes and when it comes back', async () => {
  const { outbox, inventory, clock, lines } = setUp([...Array.from({ length: 8 }, () => fail), takeAll]);
  const stop = new AbortController();
  outbox.add(event('a', 1));
  outbox.add(event('a', 2, 'terminating'));
  const running = outbox.run(stop.signal);
  while (outbox.size > 0) await settled();
  stop.abort();
  await running;
  assert.deepEqual(clock.sleeps, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  assert.deepEqual(inventory.published, ['a/1/ready', 'a/2/terminating']);
  assert.deepEqual(lines, [
    { level: 'warn', message: 'Cannot publish inventory events', fields: { err: 'no route', waiting: 2 } },
    { level: 'info', message: 'Inventory queue accepts events again', fields: { failures: 8 } },
  ]);
});

test('an outage that changes its cause says each new one once', async () => {
  const failWith = (cause: string) => () => {
    throw new Error(cause);
  };
  const causes = ['Throttling', 'Throttling', 'AccessDenied', 'Throttling', 'QueueDoesNotExist', 'AccessDenied'];
  const { outbox, lines } = setUp([...causes.map(failWith), takeAll]);
  await sendAll(outbox, [event('a', 1)]);
  assert.deepEqual(
    lines.map(({ fields, message }) => ('err' in fields ? fields.err : message)),
    ['Throttling', 'AccessDenied', 'QueueDoesNotExist', 'Inventory queue accepts events again'],
  );
});

for (const [name, answer] of [
  ['none of the events', () => ({ published: [], refused: [] })],
  ['ids that it was not given', () => ({ published: ['', 'x/1/ready'], refused: [{ id: 'y', reason: '' }] })],
] as const)
  test(`an answer that names ${name} is a failure: it is waited, not asked in a circle`, async () => {
    const { outbox, inventory, clock, lines } = setUp([answer, answer, takeAll]);
    await sendAll(outbox, [event('a', 1)]);
    assert.equal(inventory.calls.length, 3);
    assert.equal(clock.sleeps.length, 2);
    assert.equal(lines[0]?.message, 'Cannot publish inventory events');
  });

test('a refused event is named with its reason and never sent again; the others go on', async () => {
  const refuseB: Answer = (ids) => ({
    published: ids.filter((id) => id !== 'b/1/ready'),
    refused: ids.filter((id) => id === 'b/1/ready').map((id) => ({ id, reason: 'too odd' })),
  });
  const { outbox, inventory, refused, lines } = setUp([refuseB]);
  await sendAll(outbox, [event('a', 1), event('b', 1), event('b', 2, 'terminating')]);
  assert.deepEqual(inventory.calls, [['a/1/ready', 'b/1/ready'], ['b/2/terminating']]);
  assert.deepEqual(refused, [{ id: 'b/1/ready', reason: 'too odd' }]);
  assert.deepEqual(
    lines.map(({ level, message }) => [level, message]),
    [['error', 'Inventory event lost']],
  );
});

test('an attempt without an answer is given up and made again', async () => {
  const { outbox, inventory } = setUp([hang, takeAll], { attemptMs: 5 });
  await sendAll(outbox, [event('a', 1)]);
  assert.deepEqual(inventory.calls, [['a/1/ready'], ['a/1/ready']]);
});

test('an event that is too long is refused at once and holds up no other', async () => {
  const { outbox, inventory, refused } = setUp();
  const long = event('a', 1, 'ready', { labels: { map: 'ä'.repeat(40_000) } });
  await sendAll(outbox, [long, event('a', 2)]);
  assert.deepEqual(inventory.calls, [['a/2/ready']]);
  assert.match(refused[0]?.reason ?? '', /^8\d{4} bytes, expected at most 64512$/);
});

test('an event that cannot be written as JSON is refused at once and holds up no other', async () => {
  const { outbox, inventory, refused } = setUp();
  const nested = { ...event('a', 1), extra: JSON.parse('['.repeat(20_000) + ']'.repeat(20_000)) };
  await sendAll(outbox, [nested, event('a', 2)]);
  assert.deepEqual(inventory.calls, [['a/2/ready']]);
  assert.deepEqual(
    refused.map(({ id }) => id),
    ['a/1/ready'],
  );
});

test('a newer event of a server makes its waiting heartbeat needless, and says so to whoever handed it over', () => {
  const { outbox, refused, lines } = setUp();
  outbox.add(event('a', 1, 'heartbeat'));
  outbox.add(event('b', 1, 'heartbeat'));
  outbox.add(event('a', 2));
  assert.equal(outbox.size, 2);
  assert.deepEqual(refused, [{ id: 'a/1/heartbeat', reason: 'superseded by a newer event of the same game server' }]);
  assert.deepEqual(lines, []);
});

test('a heartbeat under way is left alone', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const takeLater: Answer = async (ids) => {
    await promise;
    return { published: ids, refused: [] };
  };
  const { outbox, published, refused } = setUp([takeLater, takeAll]);
  const stop = new AbortController();
  outbox.add(event('a', 1, 'heartbeat'));
  const running = outbox.run(stop.signal);
  await settled();
  outbox.add(event('a', 2));
  resolve();
  assert.deepEqual(await outbox.flush(AbortSignal.timeout(5000)), []);
  stop.abort();
  await running;
  assert.deepEqual([published, refused], [['a/1/heartbeat', 'a/2/ready'], []]);
});

test('an event that waits already is not added again', async () => {
  const { outbox, inventory } = setUp();
  for (const each of [event('a', 1), event('a', 1), event('b', 1), event('a', 1)]) outbox.add(each);
  assert.equal(outbox.size, 2);
  await sendAll(outbox);
  assert.deepEqual(inventory.calls, [['a/1/ready', 'b/1/ready']]);
});

test('a full outbox lets heartbeats go first, then what a newer event outdates, then the oldest', () => {
  const { outbox, refused, lines } = setUp([takeAll], { capacity: 3 });
  for (const each of [event('a', 1), event('a', 2), event('h', 1, 'heartbeat')]) outbox.add(each);
  for (const each of [event('b', 1), event('c', 1), event('d', 1)]) outbox.add(each);
  assert.deepEqual(
    refused.map(({ id }) => id),
    ['h/1/heartbeat', 'a/1/ready', 'a/2/ready'],
  );
  assert.equal(refused[0]?.reason, 'the outbox is full: 3 events wait');
  assert.equal(outbox.size, 3);
  // A lost heartbeat is no loss worth a line.
  assert.deepEqual(
    lines.map(({ fields }) => 'event' in fields && fields.event),
    ['a/1/ready', 'a/2/ready'],
  );
});

test('a full outbox never lets go of an event that is under way, which the queue may be taking', async () => {
  const { outbox, refused } = setUp([hang], { capacity: 2 });
  const stop = new AbortController();
  outbox.add(event('a', 1));
  const running = outbox.run(stop.signal);
  await settled();
  outbox.add(event('b', 1));
  outbox.add(event('c', 1));
  assert.deepEqual(
    refused.map(({ id }) => id),
    ['b/1/ready'],
  );
  stop.abort();
  await running;
});

test('an event that somebody else has sent is taken back', async () => {
  const { outbox, inventory } = setUp();
  outbox.add(event('a', 1));
  outbox.add(event('b', 1));
  outbox.remove('a/1/ready');
  await sendAll(outbox);
  assert.deepEqual(inventory.calls, [['b/1/ready']]);
});

test('taking back the last event ends a flush', async () => {
  const { outbox } = setUp();
  outbox.add(event('a', 1));
  const flushed = outbox.flush(AbortSignal.timeout(5000));
  outbox.remove('a/1/ready');
  assert.deepEqual(await flushed, []);
});

test('everybody who waits for an empty outbox hears of it', async () => {
  const { outbox } = setUp();
  outbox.add(event('a', 1));
  const flushes = [outbox.flush(AbortSignal.timeout(5000)), outbox.flush(AbortSignal.timeout(5000))];
  await sendAll(outbox);
  assert.deepEqual(await Promise.all(flushes), [[], []]);
});

test('a flush gives up with its signal and says what is left', async () => {
  const { outbox } = setUp([fail]);
  const stop = new AbortController();
  outbox.add(event('a', 1));
  const running = outbox.run(stop.signal);
  const unsent = await outbox.flush(AbortSignal.timeout(5));
  assert.deepEqual(
    unsent.map(({ id }) => id),
    ['a/1/ready'],
  );
  stop.abort();
  await running;
});

test('a flush ends the pause after a failure and keeps the next ones short', async () => {
  const pauses: number[] = [];
  const clock = {
    now: () => 0,
    sleep: (ms: number, signal?: AbortSignal) => {
      pauses.push(ms);
      if (pauses.length > 6) return Promise.resolve();
      return new Promise<void>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
    },
  };
  const { outbox } = setUp([fail, fail, fail, fail, takeAll], { clock });
  const stop = new AbortController();
  outbox.add(event('a', 1));
  const running = outbox.run(stop.signal);
  await settled();
  for (let attempt = 2; attempt <= 5; attempt++) {
    const flushed = outbox.flush(AbortSignal.timeout(5000));
    await settled();
    void flushed;
  }
  assert.equal(outbox.size, 0);
  assert.deepEqual(pauses, [100, 200, 250, 250]);
  stop.abort();
  await running;
});

test('a run that is stopped sends nothing more and keeps what is left', async () => {
  const { outbox, inventory, lines } = setUp([hang]);
  const stop = new AbortController();
  outbox.add(event('a', 1));
  const running = outbox.run(stop.signal);
  await settled();
  stop.abort();
  await running;
  outbox.add(event('b', 1));
  await settled();
  assert.equal(inventory.calls.length, 1);
  assert.equal(outbox.size, 2);
  assert.deepEqual(lines, []);
});

test('an outbox that was stopped while it was empty ends at once', async () => {
  const { outbox } = setUp();
  const stop = new AbortController();
  const running = outbox.run(stop.signal);
  await settled();
  stop.abort();
  await running;
});

test('a mistake of whoever listens is not taken for a failure of the queue', async () => {
  const { outbox, inventory } = setUp([takeAll], {
    onPublished: () => {
      throw new Error('a bug');
    },
  });
  outbox.add(event('a', 1));
  await assert.rejects(outbox.run(new AbortController().signal), { message: 'a bug' });
  assert.equal(inventory.calls.length, 1);
});

test('whatever a queue answers, each event is settled once and each server keeps its order', async () => {
  const answers: fc.Arbitrary<Answer> = fc.oneof(
    fc.constant(takeAll),
    fc.constant(fail),
    fc.infiniteStream(fc.constantFrom('taken', 'left', 'refused')).map(
      (fates): Answer =>
        (ids) => {
          const fated = ids.map((id) => [id, fates.next().value] as const);
          return {
            published: fated.filter(([, fate]) => fate === 'taken').map(([id]) => id),
            refused: fated.filter(([, fate]) => fate === 'refused').map(([id]) => ({ id, reason: 'x' })),
          };
        },
    ),
  );
  const servers = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(answers, { maxLength: 15 }),
      servers,
      fc.nat({ max: 30 }),
      async (script, given, early) => {
        const { outbox, published, refused } = setUp([...script, takeAll]);
        const events = given.map((server, index) => event(server, index + 1, index % 3 === 0 ? 'heartbeat' : 'ready'));
        for (const each of events.slice(0, early)) outbox.add(each);
        const stop = new AbortController();
        const running = outbox.run(stop.signal);
        await settled();
        for (const each of events.slice(early)) outbox.add(each);
        assert.deepEqual(await outbox.flush(AbortSignal.timeout(5000)), []);
        stop.abort();
        await running;
        const all = [...published, ...refused.map(({ id }) => id)];
        assert.deepEqual(all.sort(), events.map(({ id }) => id).sort());
        for (const server of ['a', 'b', 'c']) {
          const sequences = published.filter((id) => id.startsWith(server)).map((id) => Number(id.split('/')[1]));
          assert.deepEqual(
            sequences,
            sequences.toSorted((a, b) => a - b),
          );
        }
      },
    ),
    { numRuns: 200 },
  );
});
