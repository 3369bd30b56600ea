import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startMetadataService } from '../../../sandbox/metadata/metadata-service.ts';
import { startQueueService } from '../../../sandbox/sqs/queue-service.ts';
import { systemClock } from '../../../shared/clock.ts';
import { SqsInventory } from '../../../shared/events/sqs-inventory.ts';
import { sendRequest } from '../../../shared/http/send-request.ts';
import { MetadataClient } from '../../../shared/metadata/metadata-client.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { event } from '../../unit/shared/scripted-inventory.ts';
import { eventually } from '../agent/scene/eventually.ts';

describe('a client whose connections have died without a word', { concurrency: 4 }, () => {
  test('publishes to SQS again after one call, and each message once', async (t) => {
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'sandbox', AWS_SECRET_ACCESS_KEY: 'sandbox' });
    const queue = await startQueueService({ queues: [{ name: 'events' }] });
    await using proxy = await startFaultProxy({ target: new URL(queue.endpoint), certificate: 'plain' });
    const options = { queueUrl: queue.queueUrl('events'), region: 'us-east-1', endpoint: proxy.url, timeoutMs: 500 };
    const inventory = new SqsInventory(options);
    t.after(() => inventory.close());
    t.after(() => queue.close());
    const publish = (sequence: number) => inventory.publish([event('gs-1', sequence)], AbortSignal.timeout(20_000));
    await publish(1);
    proxy.network.killExisting();
    await assert.rejects(publish(2));
    await publish(3);
    proxy.network.restore();
    await publish(4);
    const sequences = (await queue.messages('events')).map(({ body }) => JSON.parse(body).data.sequence as number);
    assert.deepEqual(
      sequences.filter((sequence) => sequence !== 2),
      [1, 3, 4],
    );
  });

  test('reads instance metadata as before: no connection is kept', async (t) => {
    const service = await startMetadataService();
    t.after(() => service.close());
    await using proxy = await startFaultProxy({ target: new URL(service.url), certificate: 'plain' });
    const client = new MetadataClient({ endpoint: new URL(proxy.url), clock: systemClock });
    t.after(() => client.close());
    const path = '/latest/meta-data/instance-id';
    assert.equal((await client.get(path)).kind, 'found');
    proxy.network.killExisting();
    assert.equal((await client.get(path)).kind, 'found');
  });

  test('sends nothing of a request that was given up while the network was away', async () => {
    const service = await startMetadataService();
    await using proxy = await startFaultProxy({ target: new URL(service.url), certificate: 'plain' });
    proxy.network.silence();
    const request = { url: new URL('/hook', proxy.url), method: 'POST', body: '{}' };
    await assert.rejects(sendRequest(request, AbortSignal.timeout(200)));
    await eventually('its connection is given up as well', () => proxy.network.connections.length === 0);
    proxy.network.restore();
    const response = await sendRequest({ url: new URL('/after', proxy.url) }, AbortSignal.timeout(20_000));
    response.resume();
    assert.deepEqual(
      proxy.requests.map(({ path }) => path),
      ['/after'],
    );
    await service.close();
  });
});
