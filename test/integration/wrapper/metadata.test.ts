import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { type MetadataService, startMetadataService } from '../../../sandbox/metadata/metadata-service.ts';
import { isoSeconds } from '../../../sandbox/metadata/notices.ts';
import { type Clock, systemClock } from '../../../shared/clock.ts';
import { silentLog } from '../../../shared/log.ts';
import { MetadataWatch } from '../../../wrapper/metadata-watch.ts';
import { FakeAgent } from './fake-agent.ts';
import { type Afterwards, eventually, fixture, WrapperProcess } from './wrapper-process.ts';

const parallel = { concurrency: 4 };

async function startMetadata(t: Afterwards): Promise<MetadataService> {
  const service = await startMetadataService();
  t.after(() => service.close());
  return service;
}

const skewedClock = join(import.meta.dirname, '../../fixtures/skewed-clock.cjs');

function isoIn(ms: number): string {
  return isoSeconds(Date.now() + ms);
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

  const odd = [
    ['without a time', () => '{"action":"terminate"}', 120_000],
    ['with a new action and no zone', () => `{"action":"relocate","time":"${isoIn(100_000).slice(0, -1)}"}`, 100_000],
    ['ten minutes past', () => `{"action":"terminate","time":"${isoIn(-600_000)}"}`, 120_000],
    ['five minutes ahead', () => `{"action":"terminate","time":"${isoIn(300_000)}"}`, 120_000],
  ] as const;
  for (const [name, body, leftMs] of odd)
    test(`takes a notice ${name} for a notice, with the time that there really is`, async (t) => {
      const service = await startMetadata(t);
      service.faults.add({ path: 'instance-action', fault: { kind: 'garbage', body: '<html>' } });
      const wrapper = new WrapperProcess(t, ['--metadata-endpoint', service.url], fixture('udp-game.ts'));
      await wrapper.said('Game ready');
      service.faults.clear();
      service.faults.add({ path: 'instance-action', fault: { kind: 'garbage', body: body() } });
      assert.equal(await wrapper.status(), 3);
      const { deadline, time } = await wrapper.said('Interruption learned');
      const isLeftMs = Date.parse(String(deadline)) - time;
      assert.ok(isLeftMs <= leftMs + 2000 && isLeftMs > leftMs - 20_000, `${isLeftMs} ms`);
    });

  for (const skewMs of [180_000, -180_000])
    test(`gives its game the time that there is where its clock is wrong by ${skewMs} ms`, async (t) => {
      const service = await startMetadata(t);
      const env = { NODE_OPTIONS: `--require ${skewedClock}`, CLOCK_SKEW_MS: String(skewMs) };
      const wrapper = new WrapperProcess(t, ['--metadata-endpoint', service.url], fixture('udp-game.ts'), { env });
      await wrapper.said('Game ready');
      const deadlineMs = announce(service, 100_000);
      assert.equal(await wrapper.status(), 3);
      const { deadline } = await wrapper.said('Interruption learned');
      // By the clock that the game sees.
      assert.ok(Math.abs(Date.parse(String(deadline)) - skewMs - deadlineMs) < 2500, String(deadline));
      await wrapper.said('Clock skew: deadlines are corrected');
    });

  test('hears a metadata service that takes 1.5 s to answer, and learns where it is', async (t) => {
    const service = await startMetadata(t);
    service.faults.add({ fault: { kind: 'delay', delayMs: 1500 } });
    service.faults.add({ path: 'ipv6', fault: { kind: 'garbage', body: 'network/' } });
    const wrapper = new WrapperProcess(
      t,
      ['--metadata-endpoint', service.url],
      ['sh', '-c', 'echo at $SPOTABLE_ADDRESS; exec sleep 60'],
    );
    await wrapper.said('Instance metadata unavailable');
    announce(service, 100_000);
    assert.equal((await wrapper.said('Interruption learned'))['via'], 'metadata');
    wrapper.signal('SIGTERM');
    await wrapper.status();
  });

  test('refuses an https address at its start', async (t) => {
    const wrapper = new WrapperProcess(t, ['--metadata-endpoint', 'https://169.254.169.254'], ['true']);
    assert.equal(await wrapper.status(), 64);
    assert.match(
      wrapper.plain.join(),
      /Invalid --metadata-endpoint .* expected none, or an http:\/\/ address, without TLS/,
    );
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
  // Its last events wait for an agent as long as there is time, and here none comes.
  announce(service, 20_000);
  assert.equal(await wrapper.status(), 3);
  assert.equal((await wrapper.said('Interruption learned'))['via'], 'metadata');
});

test('A wrapper asks the metadata service at once when somebody whom it does not believe speaks of an end', async (t) => {
  const service = await startMetadata(t);
  // Only a hint ends the pause between two looks.
  const sleep: Clock['sleep'] = (ms, signal) =>
    ms < 1000 ? systemClock.sleep(ms, signal) : systemClock.sleep(86_400_000, signal);
  const watch = new MetadataWatch({
    endpoint: new URL(service.url),
    clock: { ...systemClock, sleep },
    log: silentLog,
    random: () => 0,
  });
  let hint = new AbortController();
  const stop = new AbortController();
  const noticed = Promise.withResolvers<string>();
  const watching = watch.watch(
    {
      isNeeded: () => true,
      hinted: () => {
        const { signal } = hint;
        if (signal.aborted) hint = new AbortController();
        return signal;
      },
      onNotice: ({ kind }) => noticed.resolve(kind),
    },
    stop.signal,
  );
  await eventually('it has looked once', () => service.requests.some(({ path }) => path.includes('spot')));
  announce(service, 100_000);
  hint.abort();
  assert.equal(await noticed.promise, 'spot-termination');
  stop.abort();
  await assert.rejects(watching);
});

test('A wrapper whose link anybody can take ends by what the metadata service says', async (t) => {
  const service = await startMetadata(t);
  const name = `spotable-hint-${process.pid}`;
  const squatter = await FakeAgent.listen(t, { path: `\0${name}` });
  const flags = ['--link', `@${name}`, '--metadata-endpoint', service.url];
  const wrapper = new WrapperProcess(t, flags, fixture('udp-game.ts'));
  await wrapper.said('Game ready');
  announce(service, 100_000);
  const deadline = new Date(Date.now() + 5000).toISOString();
  squatter.tell({ type: 'interruption', id: 'x', kind: 'maintenance', action: 'stop', deadline, end_by: deadline });
  assert.equal(await wrapper.status(), 3);
  const { via, kind } = await wrapper.said('Interruption learned');
  assert.deepEqual([via, kind], ['metadata', 'spot-termination']);
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
