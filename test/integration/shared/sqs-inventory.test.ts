import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test';
import { type QueueService, startQueueService } from '../../../sandbox/sqs/queue-service.ts';
import { systemClock } from '../../../shared/clock.ts';
import type { InventoryEvent } from '../../../shared/events/event.ts';
import type { RefusedEvent } from '../../../shared/events/inventory.ts';
import { Outbox } from '../../../shared/events/outbox.ts';
import { checkInventoryEvent } from '../../../shared/events/parse-event.ts';
import { SqsInventory, type SqsInventoryOptions } from '../../../shared/events/sqs-inventory.ts';
import { silentLog } from '../../../shared/log.ts';
import { event } from '../../unit/shared/scripted-inventory.ts';
import { fillBacklog } from './full-backlog.ts';

const credentials = { AWS_ACCESS_KEY_ID: 'sandbox', AWS_SECRET_ACCESS_KEY: 'sandbox' };
const environment = { ...process.env };
beforeEach(() => Object.assign(process.env, credentials));
afterEach(() => {
  for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
  Object.assign(process.env, environment);
});

interface Setup {
  readonly service: QueueService;
  readonly inventory: SqsInventory;
}

const limit = (): AbortSignal => AbortSignal.timeout(10_000);

async function start(t: TestContext, name: string, attributes: Record<string, string> = {}): Promise<Setup> {
  const service = await startQueueService({ queues: [{ name, attributes }] });
  t.after(() => service.close());
  return { service, inventory: inventoryOf(t, { queueUrl: service.queueUrl(name) }) };
}

function inventoryOf(t: TestContext, options: Partial<SqsInventoryOptions> & { queueUrl: string }): SqsInventory {
  const inventory = new SqsInventory({ region: 'us-east-1', endpoint: undefined, ...options });
  t.after(() => inventory.close());
  return inventory;
}

async function bodies(service: QueueService, name: string): Promise<InventoryEvent[]> {
  return (await service.messages(name)).map(({ body }) => JSON.parse(body) as InventoryEvent);
}

const big = (bytes: number): { labels: Record<string, string> } => ({ labels: { map: 'x'.repeat(bytes) } });

describe('the SQS inventory', () => {
  it('publishes events as messages that say their type, status and region outside, too', async (t) => {
    const { service, inventory } = await start(t, 'events');
    const events = [event('gs-1', 1), event('gs-1', 2, 'terminating', { region: null }), event('gs-2', 1, 'heartbeat')];
    const outcome = await inventory.publish(events, limit());
    assert.deepEqual(outcome, { published: events.map(({ id }) => id), refused: [] });
    const messages = await service.messages('events');
    assert.deepEqual(
      messages.map(({ body }) => JSON.parse(body)),
      events,
    );
    assert.deepEqual(
      messages.map(({ attributes }) => attributes),
      [
        { type: 'dev.spotable.gameserver.ready.v1', status: 'ready', region: 'eu-west-1' },
        { type: 'dev.spotable.gameserver.terminating.v1', status: 'terminating', region: 'unknown' },
        { type: 'dev.spotable.gameserver.heartbeat.v1', status: 'ready', region: 'eu-west-1' },
      ],
    );
    for (const { body } of messages) assert.ok('event' in checkInventoryEvent(JSON.parse(body)));
  });

  it('makes each server a group of a FIFO queue, in which a repeat is taken once', async (t) => {
    const { service, inventory } = await start(t, 'events.fifo');
    const events = [event('gs-1', 1), event('gs-2', 1), event('gs-1', 2)];
    const ids = events.map(({ id }) => id);
    for (let attempt = 0; attempt < 2; attempt++)
      assert.deepEqual((await inventory.publish(events, limit())).published, ids);
    const messages = await service.messages('events.fifo');
    assert.deepEqual(
      messages.map(({ body, groupId }) => [(JSON.parse(body) as InventoryEvent).id, groupId]),
      [
        ['gs-1/1/ready', 'gs-1'],
        ['gs-1/2/ready', 'gs-1'],
        ['gs-2/1/ready', 'gs-2'],
      ],
    );
  });

  it('gives names that a FIFO queue cannot take a short form that stays unmistakable', async (t) => {
    const { service, inventory } = await start(t, 'events.fifo');
    const long = 'node-'.repeat(50);
    const servers = [`${long}a`, `${long}b`, 'x'.repeat(128), 'ä b'];
    const events = servers.flatMap((server) => [event(server, 1), event(server, 2)]);
    assert.deepEqual((await inventory.publish(events, limit())).refused, []);
    const groups = (await service.messages('events.fifo')).map(({ groupId = '' }) => groupId);
    assert.equal(groups.length, 8);
    for (const group of groups) assert.match(group, /^[!-~]{1,128}$/);
    assert.deepEqual(groups[4], 'x'.repeat(128));
    assert.equal(new Set(groups).size, 4);
    assert.match(groups[0] ?? '', /^node-node-/);
  });

  for (const kilobytes of [60, 200])
    it(`publishes ten events of ${kilobytes} KB, which together may be more than a call can be`, async (t) => {
      const { service, inventory } = await start(t, 'events');
      const events = Array.from({ length: 10 }, (_, index) => event(`gs-${index}`, 1, 'ready', big(kilobytes * 1000)));
      const ids = events.map(({ id }) => id);
      assert.deepEqual(await inventory.publish(events, limit()), { published: ids, refused: [] });
      assert.deepEqual(
        (await bodies(service, 'events')).map(({ id }) => id),
        ids,
      );
    });

  it('refuses the one event that is longer than the queue takes, with its reason, and publishes the others', async (t) => {
    for (const name of ['events', 'events.fifo']) {
      const { service, inventory } = await start(t, name, { MaximumMessageSize: '10000' });
      const events = [event('a', 1), event('b', 1, 'ready', big(20_000)), event('c', 1)];
      const { published, refused } = await inventory.publish(events, limit());
      assert.deepEqual(published, ['a/1/ready', 'c/1/ready']);
      assert.equal(refused.length, 1);
      assert.equal(refused[0]?.id, 'b/1/ready');
      assert.match(refused[0].reason, /^InvalidParameterValue: .*10000 bytes/);
      assert.equal((await bodies(service, name)).length, 2);
    }
  });

  it('refuses alone what makes SQS refuse the whole call', async (t) => {
    const { inventory } = await start(t, 'events');
    const events = [event('a', 1), event('b', 1, 'ready', big(1_100_000)), event('c', 1)];
    const { published, refused } = await inventory.publish(events, limit());
    assert.deepEqual(published, ['a/1/ready', 'c/1/ready']);
    assert.match(refused[0]?.reason ?? '', /^BatchRequestTooLong: /);
    const alone = await inventory.publish(events.slice(1, 2), limit());
    assert.deepEqual(alone.published, []);
    assert.equal(alone.refused[0]?.id, 'b/1/ready');
  });

  it('publishes texts with characters that SQS does not take as they are', async (t) => {
    const { service, inventory } = await start(t, 'events');
    const labels = { motd: '\u0000\u001f\ufffe\uffff\ud800 🎮 ä' };
    const odd = event('gs-1', 1, 'ready', { labels, region: 'eu\u0000west' });
    assert.deepEqual(await inventory.publish([odd], limit()), { published: [odd.id], refused: [] });
    assert.deepEqual((await bodies(service, 'events'))[0]?.data, odd.data);
    assert.equal((await service.messages('events'))[0]?.attributes['region'], 'eu?west');
  });

  it('writes the messages that its user wants', async (t) => {
    const service = await startQueueService({ queues: [{ name: 'events' }] });
    t.after(() => service.close());
    const body = ({ id }: InventoryEvent) => `it is ${id}`;
    const inventory = inventoryOf(t, { queueUrl: service.queueUrl('events'), body });
    await inventory.publish([event('gs-1', 1)], limit());
    assert.equal((await service.messages('events'))[0]?.body, 'it is gs-1/1/ready');
  });

  it('asks the endpoint where one is given, and the host of the URL where the given one is empty', async (t) => {
    const service = await startQueueService({ queues: [{ name: 'events' }] });
    t.after(() => service.close());
    const queueUrl = 'http://sqs.invalid/000000000000/events';
    const elsewhere = inventoryOf(t, { queueUrl, endpoint: service.endpoint });
    assert.equal((await elsewhere.publish([event('gs-1', 1)], limit())).published.length, 1);
    const empty = inventoryOf(t, { queueUrl: service.queueUrl('events'), endpoint: '' });
    assert.equal((await empty.publish([event('gs-1', 2)], limit())).published.length, 1);
  });

  it('says which queue does not exist', async (t) => {
    const { service } = await start(t, 'events');
    const inventory = inventoryOf(t, { queueUrl: service.queueUrl('nowhere') });
    await assert.rejects(inventory.publish([event('gs-1', 1)], limit()), { name: 'QueueDoesNotExist' });
  });

  it('keeps its time limit where SQS hangs, before and after the connect', async (t) => {
    const { service } = await start(t, 'events');
    service.faults.add({ fault: { kind: 'hang' } });
    const { port, close } = await fillBacklog();
    t.after(close);
    for (const queueUrl of [service.queueUrl('events'), `http://127.0.0.1:${port}/0/events`]) {
      const inventory = inventoryOf(t, { queueUrl, timeoutMs: 200 });
      const startedMs = performance.now();
      await assert.rejects(inventory.publish([event('gs-1', 1)], limit()), { name: 'TimeoutError' });
      assert.ok(performance.now() - startedMs < 3000);
    }
  });

  it('ends with the signal of its caller, also while it waits for credentials from a server that hangs', async (t) => {
    const { service } = await start(t, 'events');
    const asked = Promise.withResolvers<void>();
    const hanging = createServer(() => asked.resolve()).listen(0, '127.0.0.1');
    t.after(() => hanging.closeAllConnections());
    t.after(() => hanging.close());
    await new Promise((resolve) => hanging.once('listening', resolve));
    for (const name of Object.keys(credentials)) delete process.env[name];
    process.env['AWS_CONTAINER_CREDENTIALS_FULL_URI'] = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}/`;
    process.env['AWS_SHARED_CREDENTIALS_FILE'] = process.env['AWS_CONFIG_FILE'] = '/nonexistent';
    const inventory = inventoryOf(t, { queueUrl: service.queueUrl('events') });
    const leave = new AbortController();
    const left = assert.rejects(inventory.publish([event('gs-1', 1)], leave.signal), { message: 'enough' });
    await asked.promise;
    leave.abort(new Error('enough'));
    await left;
  });
});

describe('an outbox in front of SQS', () => {
  interface Sending {
    readonly outbox: Outbox;
    readonly refused: RefusedEvent[];
    /** Adds events and waits until none is left. */
    readonly send: (events: readonly InventoryEvent[]) => Promise<void>;
  }

  function sending(t: TestContext, queueUrl: string): Sending {
    const refused: RefusedEvent[] = [];
    const outbox = new Outbox({
      inventory: inventoryOf(t, { queueUrl, timeoutMs: 300 }),
      clock: systemClock,
      log: silentLog,
      onRefused: (events) => refused.push(...events),
    });
    const stop = new AbortController();
    const running = outbox.run(stop.signal);
    t.after(async () => {
      stop.abort();
      await running;
    });
    const send = async (events: readonly InventoryEvent[]) => {
      for (const each of events) outbox.add(each);
      assert.deepEqual(await outbox.flush(limit()), []);
    };
    return { outbox, refused, send };
  }

  const servers = ['a', 'b', 'c', 'd'];
  const sequences = [1, 2, 3, 4, 5];
  const history = sequences.flatMap((sequence) => servers.map((server) => event(server, sequence)));

  async function assertComplete(service: QueueService, name: string): Promise<void> {
    const received = await bodies(service, name);
    for (const server of servers) {
      const ofServer = received.filter(({ subject }) => subject === server).map(({ id }) => Number(id.split('/')[1]));
      // A repeat of what was taken while its answer was lost may follow; nothing may come before its time.
      const firsts = [...new Set(ofServer)];
      assert.deepEqual(firsts, sequences, `server ${server}: ${ofServer}`);
    }
  }

  const faults = [
    ['refuses', { kind: 'status', status: 503, body: '' }],
    ['resets connections', { kind: 'reset' }],
    ['hangs', { kind: 'hang' }],
    ['answers nonsense', { kind: 'garbage' }],
    ['throttles', { kind: 'status', status: 403, body: '{"__type":"com.amazonaws.sqs#RequestThrottled"}' }],
  ] as const;

  for (const name of ['events', 'events.fifo'])
    for (const [what, fault] of faults)
      it(`brings everything in order to ${name} after a time in which the queue ${what}`, async (t) => {
        const service = await startQueueService({ queues: [{ name }] });
        t.after(() => service.close());
        service.faults.add({ times: 3, fault });
        const { send, refused } = sending(t, service.queueUrl(name));
        await send(history);
        assert.deepEqual(refused, []);
        await assertComplete(service, name);
      });

  it('keeps order through faults at random', async (t) => {
    const service = await startQueueService({ queues: [{ name: 'events.fifo' }] });
    t.after(() => service.close());
    service.faults.add({ probability: 0.2, fault: { kind: 'reset' } });
    service.faults.add({ probability: 0.2, fault: { kind: 'status', status: 500 } });
    await sending(t, service.queueUrl('events.fifo')).send(history);
    await assertComplete(service, 'events.fifo');
  });

  it('waits for a queue that nobody serves yet', async (t) => {
    const first = await startQueueService();
    const port = Number(new URL(first.endpoint).port);
    await first.close();
    const { outbox, send } = sending(t, `http://127.0.0.1:${port}/000000000000/events`);
    for (const each of history.slice(0, 4)) outbox.add(each);
    assert.equal((await outbox.flush(AbortSignal.timeout(300))).length, 4);
    const service = await startQueueService({ port, queues: [{ name: 'events' }] });
    t.after(() => service.close());
    await send(history.slice(4));
    await assertComplete(service, 'events');
  });

  it('waits for a queue that does not exist yet', async (t) => {
    const service = await startQueueService();
    t.after(() => service.close());
    const { outbox, refused, send } = sending(t, service.queueUrl('events'));
    for (const each of history.slice(0, 4)) outbox.add(each);
    assert.equal((await outbox.flush(AbortSignal.timeout(300))).length, 4);
    await service.create({ QueueName: 'events' });
    await send(history.slice(4));
    assert.deepEqual(refused, []);
    await assertComplete(service, 'events');
  });

  it('is not held up by an event that the queue will never take', async (t) => {
    const attributes = { MaximumMessageSize: '10000' };
    const service = await startQueueService({ queues: [{ name: 'events.fifo', attributes }] });
    t.after(() => service.close());
    const { send, refused } = sending(t, service.queueUrl('events.fifo'));
    await send([event('a', 0, 'ready', big(20_000)), ...history]);
    assert.deepEqual(
      refused.map(({ id }) => id),
      ['a/0/ready'],
    );
    await assertComplete(service, 'events.fifo');
  });
});
