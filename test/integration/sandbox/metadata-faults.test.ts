import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { FaultRule } from '../../../sandbox/faults.ts';
import { type MetadataService, startMetadataService } from '../../../sandbox/metadata/metadata-service.ts';
import { ask, type Reply, read, takeToken } from './metadata-ask.ts';

const hourMs = 3_600_000;

async function start(t: TestContext): Promise<{ service: MetadataService; get: () => Promise<Reply> }> {
  const service = await startMetadataService();
  t.after(() => service.close());
  const token = await takeToken(service.url);
  return { service, get: () => read(service.url, token, 'meta-data/instance-id') };
}

/** Until the service has seen this many requests, the token's among them. */
async function seen(service: MetadataService, count: number): Promise<void> {
  for (const giveUpMs = Date.now() + 10_000; service.requests.length < count; ) {
    assert.ok(Date.now() < giveUpMs, `the service has seen ${service.requests.length} of ${count} requests`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a fault', () => {
  it('of the kind status answers with its status, headers and body', async (t) => {
    const { service, get } = await start(t);
    for (const status of [401, 403, 404, 500, 503]) {
      const headers = { 'retry-after': '7' };
      service.faults.add({ times: 1, fault: { kind: 'status', status, headers, body: `it is ${status}` } });
      const reply = await get();
      assert.deepEqual([reply.status, reply.headers['retry-after'], reply.body], [status, '7', `it is ${status}`]);
      assert.equal(service.requests.at(-1)?.status, status);
    }
    assert.equal((await get()).status, 200);
  });

  it('of the kind delay answers as ever, but later', async (t) => {
    const { service, get } = await start(t);
    service.faults.add({ fault: { kind: 'delay', delayMs: 120 } });
    const startedMs = performance.now();
    assert.equal((await get()).body, 'i-0123456789abcdef0');
    // Node may fire a timer up to a millisecond early.
    assert.ok(performance.now() - startedMs >= 119);
  });

  it('of the kind reset breaks the connection without an answer', async (t) => {
    const { service, get } = await start(t);
    service.faults.add({ fault: { kind: 'reset' } });
    await assert.rejects(get(), { code: 'ECONNRESET', message: 'read ECONNRESET' });
    assert.equal(service.requests.at(-1)?.status, undefined);
  });

  it('of the kind garbage answers 200 with what no client can use', async (t) => {
    const { service, get } = await start(t);
    service.faults.add({ times: 1, fault: { kind: 'garbage' } });
    const { status, body } = await get();
    assert.equal(status, 200);
    assert.throws(() => JSON.parse(body), SyntaxError);
    service.faults.add({ times: 1, fault: { kind: 'garbage', body: '{"action":"explode"}' } });
    assert.equal((await get()).body, '{"action":"explode"}');
  });

  it('of the kind garbage gives a token that cannot be sent as a header', async (t) => {
    const { service } = await start(t);
    service.faults.add({ method: 'PUT', fault: { kind: 'garbage' } });
    const token = await takeToken(service.url);
    assert.throws(() => new Headers({ 'X-aws-ec2-metadata-token': token }), TypeError);
  });

  it('of the kind hang takes the request, never answers it, and holds up nobody else', async (t) => {
    const { service, get } = await start(t);
    service.faults.add({ times: 1, fault: { kind: 'hang' } });
    const leave = new AbortController();
    const left = ask(`${service.url}/`, { signal: leave.signal });
    await seen(service, 2);
    assert.equal((await get()).status, 200);
    assert.equal(service.requests[1]?.status, undefined);
    leave.abort();
    await assert.rejects(left, { name: 'AbortError' });
  });

  it('ends with the service, though it hangs or has an hour to wait', async (t) => {
    const { service, get } = await start(t);
    service.faults.add({ times: 1, fault: { kind: 'hang' } });
    service.faults.add({ fault: { kind: 'delay', delayMs: hourMs } });
    const broken = Promise.all([
      assert.rejects(get(), { code: 'ECONNRESET' }),
      assert.rejects(get(), { code: 'ECONNRESET' }),
    ]);
    await seen(service, 3);
    await service.close();
    await broken;
  });

  it('that delays lets go of a client that leaves', async (t) => {
    const { service } = await start(t);
    service.faults.add({ fault: { kind: 'delay', delayMs: hourMs } });
    const timersBefore = liveTimers();
    const leave = new AbortController();
    const left = ask(`${service.url}/`, { signal: leave.signal });
    await seen(service, 2);
    assert.ok(liveTimers() > timersBefore);
    leave.abort();
    await assert.rejects(left, { name: 'AbortError' });
    for (const giveUpMs = Date.now() + 10_000; liveTimers() > timersBefore; ) {
      assert.ok(Date.now() < giveUpMs, 'the delay goes on without its client');
      await new Promise((resolve) => setImmediate(resolve));
    }
  });

  it('meets only what its rule says, while everything else goes on', async (t) => {
    const { service, get } = await start(t);
    service.faults.add({ method: 'PUT', path: '^/latest/api/token$', fault: { kind: 'status', status: 503 } });
    assert.equal((await get()).status, 200);
    await assert.rejects(takeToken(service.url), /HTTP 503/);
  });
});

describe('the fault control over HTTP', () => {
  it('adds a rule that then fails requests, lists it and removes it', async (t) => {
    const { service, get } = await start(t);
    const control = `${service.url}/sandbox/faults`;
    const rule: FaultRule = { id: 'down', path: 'instance', fault: { kind: 'status', status: 500 } };
    const added = await ask(control, { method: 'POST', body: JSON.stringify(rule) });
    assert.deepEqual([added.status, JSON.parse(added.body)], [201, rule]);
    assert.equal((await get()).status, 500);
    assert.deepEqual(JSON.parse((await ask(control)).body), [rule]);
    assert.equal((await ask(`${control}/down`, { method: 'DELETE' })).status, 204);
    assert.equal((await ask(`${control}/down`, { method: 'DELETE' })).status, 404);
    assert.equal((await get()).status, 200);
  });

  it('is itself met by no fault, so a server that fails everything can be healed', async (t) => {
    const { service, get } = await start(t);
    const control = `${service.url}/sandbox/faults`;
    await ask(control, { method: 'POST', body: '{"fault":{"kind":"reset"}}' });
    await assert.rejects(get(), { code: 'ECONNRESET' });
    assert.equal((await ask(control, { method: 'DELETE' })).status, 204);
    assert.equal((await get()).status, 200);
  });

  it('says what is wrong with a rule, and takes none from a body that is no JSON or too long', async (t) => {
    const { service } = await start(t);
    const control = `${service.url}/sandbox/faults`;
    const bad = await ask(control, { method: 'POST', body: '{"fault":{"kind":"delay","delayMs":"1s"}}' });
    assert.equal(bad.status, 400);
    assert.match(bad.body, /fault\.delayMs must be a whole number/);
    assert.equal((await ask(control, { method: 'POST', body: 'not JSON' })).status, 400);
    assert.equal((await ask(control, { method: 'POST', body: ' '.repeat(65_537) })).status, 413);
    assert.deepEqual(service.faults.list(), []);
  });

  it('has no other methods', async (t) => {
    const { service } = await start(t);
    const put = await ask(`${service.url}/sandbox/faults`, { method: 'PUT', body: '{}' });
    assert.deepEqual([put.status, put.headers.allow], [405, 'GET, POST, DELETE']);
    assert.equal((await ask(`${service.url}/sandbox/faults/x`)).status, 405);
  });
});

function liveTimers(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
}
