import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import {
  ChangeMessageVisibilityCommand,
  CreateQueueCommand,
  DeleteMessageCommand,
  GetQueueUrlCommand,
  ListQueuesCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { type Fault, Faults } from '../../../sandbox/faults.ts';
import { type QueueService, type QueueServiceOptions, startQueueService } from '../../../sandbox/sqs/queue-service.ts';

interface Setup {
  service: QueueService;
  client: SQSClient;
}

async function start(t: TestContext, options: QueueServiceOptions, region = 'us-east-1'): Promise<Setup> {
  const service = await startQueueService(options);
  t.after(() => service.close());
  return { service, client: clientOf(t, service, region) };
}

function clientOf(t: TestContext, { endpoint }: QueueService, region = 'us-east-1'): SQSClient {
  const client = new SQSClient({
    endpoint,
    region,
    credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
    maxAttempts: 1,
    requestHandler: { requestTimeout: 25_000, throwOnRequestTimeout: true },
  });
  t.after(() => client.destroy());
  return client;
}

async function receive(client: SQSClient, QueueUrl: string, waitSeconds = 0): Promise<Message[]> {
  const command = new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: waitSeconds });
  return (await client.send(command)).Messages ?? [];
}

describe('the queue service', () => {
  it('keeps a message out of sight once received, and forgets it once deleted', async (t) => {
    const { service, client } = await start(t, { queues: [{ name: 'events' }] });
    const QueueUrl = service.queueUrl('events');
    const attributes = { type: { DataType: 'String', StringValue: 'ready' } };
    await client.send(new SendMessageCommand({ QueueUrl, MessageBody: 'hello', MessageAttributes: attributes }));
    const [message] = await receive(client, QueueUrl);
    assert.equal(message?.Body, 'hello');
    assert.deepEqual(await receive(client, QueueUrl), []);
    assert.deepEqual(
      (await service.messages('events')).map(({ body, state, receiveCount, attributes: peeked }) => ({
        body,
        state,
        receiveCount,
        peeked,
      })),
      [{ body: 'hello', state: 'in-flight', receiveCount: 1, peeked: { type: 'ready' } }],
    );
    await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message?.ReceiptHandle }));
    assert.deepEqual(await service.messages('events'), []);
  });

  it('keeps the order of each group of a FIFO queue and drops repeats', async (t) => {
    const { service, client } = await start(t, { queues: [{ name: 'events.fifo' }] });
    const QueueUrl = service.queueUrl('events.fifo');
    for (const id of ['1', '2', '3', '2', '1']) {
      for (const group of ['a', 'b']) {
        const fifo = { MessageGroupId: group, MessageDeduplicationId: `${group}${id}` };
        await client.send(new SendMessageCommand({ QueueUrl, MessageBody: `${group}${id}`, ...fifo }));
      }
    }
    assert.deepEqual(
      new Set((await service.messages('events.fifo')).map(({ groupId }) => groupId)),
      new Set(['a', 'b']),
    );
    const received: string[] = [];
    for (let batch = await receive(client, QueueUrl); batch.length > 0; batch = await receive(client, QueueUrl)) {
      for (const { Body = '', ReceiptHandle } of batch) {
        received.push(Body);
        await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
      }
    }
    for (const group of ['a', 'b']) {
      const ofGroup = received.filter((body) => body.startsWith(group));
      assert.deepEqual(
        ofGroup,
        ['1', '2', '3'].map((id) => `${group}${id}`),
      );
    }
  });

  it('moves a message that was received too often to the dead-letter queue', async (t) => {
    for (const end of ['', '.fifo']) {
      const deadLetter = { queue: `dead${end}`, maxReceiveCount: 2 };
      const queues = [{ name: `events${end}`, deadLetter }, { name: `dead${end}` }];
      const { service, client } = await start(t, { queues });
      const QueueUrl = service.queueUrl(`events${end}`);
      const fifo = end === '' ? {} : { MessageGroupId: 'g', MessageDeduplicationId: 'd' };
      await client.send(new SendMessageCommand({ QueueUrl, MessageBody: 'poison', ...fifo }));
      for (let received = 0; received < 2; received += 1) {
        const [message] = await receive(client, QueueUrl);
        assert.equal(message?.Body, 'poison');
        const again = { QueueUrl, ReceiptHandle: message.ReceiptHandle, VisibilityTimeout: 0 };
        await client.send(new ChangeMessageVisibilityCommand(again));
      }
      assert.deepEqual(await receive(client, QueueUrl), []);
      assert.equal((await receive(client, service.queueUrl(`dead${end}`)))[0]?.Body, 'poison');
    }
  });

  it('hands a message to a long poll as soon as it comes', async (t) => {
    const { service, client } = await start(t, { queues: [{ name: 'events' }] });
    const startedMs = performance.now();
    const polled = receive(client, service.queueUrl('events'), 20);
    await client.send(new SendMessageCommand({ QueueUrl: service.queueUrl('events'), MessageBody: 'hello' }));
    assert.equal((await polled)[0]?.Body, 'hello');
    assert.ok(performance.now() - startedMs < 10_000);
  });

  it('gives a message to no long poll whose client has left', async (t) => {
    for (const name of ['events', 'events.fifo']) {
      const polls = Promise.withResolvers<void>();
      const faults = new Faults(() => {
        polls.resolve();
        return 1;
      });
      faults.add({ path: 'Action=ReceiveMessage', probability: 0, fault: { kind: 'hang' } });
      const { service, client } = await start(t, { queues: [{ name }], faults });
      const QueueUrl = service.queueUrl(name);
      const leave = new AbortController();
      const command = new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 });
      const left = clientOf(t, service).send(command, { abortSignal: leave.signal });
      await polls.promise;
      leave.abort();
      await assert.rejects(left, { name: 'AbortError' });
      // A round trip on another connection, after which the service has seen the first one close.
      await client.send(new ListQueuesCommand({}));
      const fifo = name === 'events' ? {} : { MessageGroupId: 'g', MessageDeduplicationId: 'd' };
      await client.send(new SendMessageCommand({ QueueUrl, MessageBody: 'hello', ...fifo }));
      assert.equal((await receive(client, QueueUrl, 5))[0]?.Body, 'hello', name);
    }
  });

  it('names queues by URLs on 127.0.0.1, also those that a client creates', async (t) => {
    const { service, client } = await start(t, { queues: [{ name: 'events' }] });
    const created = await client.send(
      new CreateQueueCommand({ QueueName: 'other.fifo', Attributes: { FifoQueue: 'true' } }),
    );
    assert.equal(created.QueueUrl, service.queueUrl('other.fifo'));
    const found = await client.send(new GetQueueUrlCommand({ QueueName: 'events' }));
    assert.equal(found.QueueUrl, service.queueUrl('events'));
    assert.match(service.queueUrl('events'), /^http:\/\/127\.0\.0\.1:\d+\/000000000000\/events$/);
    const listed = await client.send(new ListQueuesCommand({}));
    assert.deepEqual(listed.QueueUrls, [service.queueUrl('events'), service.queueUrl('other.fifo')]);
  });

  it('has its queues in the region it was given', async (t) => {
    const { service, client } = await start(t, { queues: [{ name: 'events' }], region: 'eu-west-1' }, 'eu-west-1');
    const found = await client.send(new GetQueueUrlCommand({ QueueName: 'events' }));
    assert.equal(found.QueueUrl, service.queueUrl('events'));
    const elsewhere = clientOf(t, service, 'us-east-1');
    await assert.rejects(elsewhere.send(new GetQueueUrlCommand({ QueueName: 'events' })), {
      name: 'QueueDoesNotExist',
    });
  });

  it('knows no queue that was not created', async (t) => {
    const { service, client } = await start(t, {});
    const QueueUrl = service.queueUrl('nowhere');
    await assert.rejects(client.send(new SendMessageCommand({ QueueUrl, MessageBody: 'x' })), {
      name: 'QueueDoesNotExist',
    });
    await assert.rejects(service.messages('nowhere'), /Cannot look into queue nowhere/);
  });

  it('applies the attributes of a queue', async (t) => {
    const { service, client } = await start(t, {
      queues: [{ name: 'events', attributes: { VisibilityTimeout: '0' } }],
    });
    const QueueUrl = service.queueUrl('events');
    await client.send(new SendMessageCommand({ QueueUrl, MessageBody: 'hello' }));
    await receive(client, QueueUrl);
    assert.equal((await receive(client, QueueUrl))[0]?.Body, 'hello');
  });

  it('refuses a queue that SQS would refuse', async () => {
    const bad: QueueServiceOptions['queues'][] = [
      [{ name: '' }],
      [{ name: 'a b' }],
      [{ name: 'x'.repeat(81) }],
      [{ name: 'a.fifo.fifo' }],
      [{ name: 'a', attributes: { VisibilityTimeout: '43201' } }],
      [{ name: 'a', attributes: { FifoQueue: 'true' } }],
      [{ name: 'a', deadLetter: { queue: 'missing', maxReceiveCount: 1 } }],
    ];
    for (const queues of bad)
      await assert.rejects(startQueueService({ queues: queues ?? [] }), /^TypeError: Cannot create queue/);
  });

  it('listens on 127.0.0.1 alone', { skip: process.platform !== 'linux' }, async (t) => {
    const { service } = await start(t, {});
    // All of 127/8 is loopback on Linux, so a server on 0.0.0.0 would take this.
    const socket = connect({ host: '127.0.0.2', port: Number(new URL(service.endpoint).port) });
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    socket.once('connect', () => resolve(undefined)).once('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
    assert.equal(await promise, 'ECONNREFUSED');
    socket.destroy();
  });

  it('says which address it cannot have', async (t) => {
    const port = Number(new URL((await start(t, {})).service.endpoint).port);
    await assert.rejects(
      startQueueService({ port }),
      /^Error: Cannot start the queue service on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
    );
  });

  it('ends long polls and hanging requests when it closes', async (t) => {
    const { service, client } = await start(t, { queues: [{ name: 'events' }] });
    const QueueUrl = service.queueUrl('events');
    const { faults } = service;
    faults.add({ path: 'SendMessage', times: 1, fault: { kind: 'hang' } });
    const polled = Promise.allSettled([receive(client, QueueUrl, 20)]);
    const sent = assert.rejects(client.send(new SendMessageCommand({ QueueUrl, MessageBody: 'x' })));
    for (const giveUpMs = Date.now() + 10_000; faults.list().length > 0; ) {
      assert.ok(Date.now() < giveUpMs, 'the request has not met its fault');
      await new Promise((resolve) => setImmediate(resolve));
    }
    const startedMs = performance.now();
    await service.close();
    await Promise.all([polled, sent]);
    assert.ok(performance.now() - startedMs < 5_000);
  });
});

describe('a fault of the queue service', () => {
  const seen: [fault: Fault, error: object][] = [
    [{ kind: 'status', status: 503 }, { $metadata: { httpStatusCode: 503 } }],
    [{ kind: 'reset' }, { code: 'ECONNRESET' }],
    [{ kind: 'hang' }, { name: 'TimeoutError', code: 'ETIMEDOUT' }],
    [{ kind: 'garbage' }, { name: 'SyntaxError' }],
  ];
  for (const [fault, error] of seen) {
    it(`of the kind ${fault.kind} meets only its action, and shows in the real client`, async (t) => {
      const { service } = await start(t, { queues: [{ name: 'events' }] });
      const client = new SQSClient({
        endpoint: service.endpoint,
        region: 'us-east-1',
        credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
        maxAttempts: 1,
        requestHandler: { requestTimeout: 1_000, throwOnRequestTimeout: true },
      });
      t.after(() => client.destroy());
      const QueueUrl = service.queueUrl('events');
      const send = new SendMessageCommand({ QueueUrl, MessageBody: 'hello' });
      const id = service.faults.add({ path: 'Action=SendMessage$', fault });
      await assert.rejects(client.send(send), (thrown: Error) => {
        assert.partialDeepStrictEqual({ ...thrown, name: thrown.name }, error);
        return true;
      });
      const batch = { QueueUrl, Entries: [{ Id: '1', MessageBody: 'batched' }] };
      assert.equal((await client.send(new SendMessageBatchCommand(batch))).Successful?.length, 1);
      service.faults.remove(id);
      await client.send(send);
      assert.deepEqual(
        (await service.messages('events')).map(({ body }) => body),
        ['batched', 'hello'],
      );
    });
  }

  it('that lasts shorter than the client retries costs it nothing but time', async (t) => {
    const { service } = await start(t, { queues: [{ name: 'events' }] });
    const credentials = { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' };
    const client = new SQSClient({ endpoint: service.endpoint, region: 'us-east-1', credentials });
    t.after(() => client.destroy());
    service.faults.add({ times: 2, fault: { kind: 'status', status: 503 } });
    await client.send(new SendMessageCommand({ QueueUrl: service.queueUrl('events'), MessageBody: 'hello' }));
    assert.equal((await service.messages('events')).length, 1);
  });

  it('is there before the first client and does not meet the service itself', async (t) => {
    const faults = new Faults();
    faults.add({ fault: { kind: 'reset' } });
    const { service, client } = await start(t, { queues: [{ name: 'events' }], faults });
    await assert.rejects(client.send(new ListQueuesCommand({})), { code: 'ECONNRESET' });
    assert.deepEqual(await service.messages('events'), []);
  });

  it('can be scripted over HTTP while everything else fails', async (t) => {
    const { service, client } = await start(t, {});
    const control = `${service.endpoint}/sandbox/faults`;
    const added = await fetch(control, { method: 'POST', body: '{"fault":{"kind":"status","status":500}}' });
    assert.equal(added.status, 201);
    await assert.rejects(client.send(new ListQueuesCommand({})));
    assert.equal((await fetch(control, { method: 'DELETE' })).status, 204);
    await client.send(new ListQueuesCommand({}));
  });
});
