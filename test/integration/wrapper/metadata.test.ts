import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type MetadataService, startMetadataService } from '../../../sandbox/metadata/metadata-service.ts';
import { FakeAgent } from './fake-agent.ts';
import { type Afterwards, eventually, fixture, WrapperProcess } from './wrapper-process.ts';

const parallel = { concurrency: 4 };

async function startMetadata(t: Afterwards): Promise<MetadataService> {
  const service = await startMetadataService();
  t.after(() => service.close());
  return service;
}

function announce(service: MetadataService, inMs: number): number {
  // The service names whole seconds.
  const atMs = Math.ceil((Date.now() + inMs) / 1000) * 1000;
  service.announce('spot', { action: 'terminate', time: new Date(atMs).toISOString().replace('.000', '') });
  return atMs;
}

suite('A wrapper on EC2 without an agent', parallel, () => {
  test('learns of the interruption by itself', async (t) => {
    const service = await startMetadata(t);
    const wrapper = new WrapperProcess(t, ['--metadata-endpoint', service.url], fixture('udp-game.ts'));
    await wrapper.said('Game ready');
    const deadlineMs = announce(service, 100_000);
    assert.equal(await wrapper.status(), 3);
    const { via, kind, deadline, endBy } = await wrapper.said('Interruption learned');
    assert.deepEqual([via, kind], ['metadata', 'spot-termination']);
    assert.deepEqual([Date.parse(String(deadline)), Date.parse(String(endBy))], [deadlineMs, deadlineMs - 5000]);
  });

  test('still learns of it after the service was down, answered garbage and forgot its tokens', async (t) => {
    const service = await startMetadata(t);
    service.faults.add({ fault: { kind: 'status', status: 503 }, times: 3 });
    service.faults.add({ path: 'instance-action', fault: { kind: 'garbage' }, times: 1 });
    const wrapper = new WrapperProcess(t, ['--metadata-endpoint', service.url], fixture('udp-game.ts'));
    await wrapper.said('Game ready');
    await wrapper.said('Instance metadata unavailable');
    announce(service, 100_000);
    assert.equal(await wrapper.status(), 3);
    assert.equal((await wrapper.said('Interruption learned'))['via'], 'metadata');
  });

  test('knows its address before its game starts where an argument asks for it', async (t) => {
    const service = await startMetadata(t);
    const wrapper = new WrapperProcess(t, ['--metadata-endpoint', service.url], ['echo', 'at {SPOTABLE_ADDRESS}']);
    assert.equal(await wrapper.status(), 0);
    assert.doesNotMatch(await wrapper.printed(/^at /), /[{}]/);
  });
});

test('A wrapper whose agent hangs looks after itself', async (t) => {
  const service = await startMetadata(t);
  const agent = await FakeAgent.listen(t);
  const flags = ['--link', agent.path, '--metadata-endpoint', service.url];
  const wrapper = new WrapperProcess(t, flags, fixture('udp-game.ts'));
  await agent.event('ready');
  agent.tell({ type: 'alive', next_ms: 100 });
  agent.hang();
  await wrapper.said('Agent link lost', ({ reason }) => reason === 'silent for 0.3 s');
  await eventually('it asks for itself', () => service.requests.length > 0);
  announce(service, 100_000);
  assert.equal(await wrapper.status(), 3);
  assert.equal((await wrapper.said('Interruption learned'))['via'], 'metadata');
});

test('A wrapper that an agent has welcomed asks the metadata service for nothing', async (t) => {
  const service = await startMetadata(t);
  const agent = await FakeAgent.listen(t);
  const flags = ['--link', agent.path, '--metadata-endpoint', service.url, '--heartbeat', '200ms', '--lease', '5s'];
  const wrapper = new WrapperProcess(t, flags, fixture('udp-game.ts'));
  await eventually('some heartbeats went by', () => agent.names().filter((name) => name === 'heartbeat').length >= 10);
  assert.deepEqual(service.requests, []);
  wrapper.signal('SIGTERM');
  assert.equal(await wrapper.status(), 3);
});
