import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import {
  type MetadataService,
  type MetadataServiceOptions,
  startMetadataService,
} from '../../../sandbox/metadata/metadata-service.ts';
import type { NoticeKind, Notices } from '../../../sandbox/metadata/notices.ts';
import { systemClock } from '../../../shared/clock.ts';
import { MetadataClient } from '../../../shared/metadata/metadata-client.ts';
import { ask, type Reply, read, takeToken } from './metadata-ask.ts';

const action = 'meta-data/spot/instance-action';
const spot = { action: 'terminate', time: '2026-04-24T17:11:44Z' } as const;
const reboot = {
  NotBefore: '21 Jan 2026 09:00:43 GMT',
  NotAfter: '21 Jan 2026 09:17:23 GMT',
  NotBeforeDeadline: '28 Jan 2026 09:00:43 GMT',
  Code: 'system-reboot',
  Description: 'scheduled reboot',
  EventId: 'instance-event-0d59937288b749b32',
  State: 'active',
} as const;

async function start(t: TestContext, options?: MetadataServiceOptions): Promise<MetadataService> {
  const service = await startMetadataService(options);
  t.after(() => service.close());
  return service;
}

function assertErrorPage(reply: Reply, status: number, title: string): void {
  assert.equal(reply.status, status);
  assert.equal(reply.headers['content-type'], 'text/html');
  assert.match(reply.body, /^<\?xml [\s\S]*<html xmlns="http:\/\/www\.w3\.org\/1999\/xhtml"/);
  assert.ok(reply.body.includes(`<title>${title}</title>`), reply.body);
}

describe('tokens', () => {
  it('are given for a TTL from 1 to 21600 seconds, as plain text', async (t) => {
    const { url } = await start(t);
    for (const ttl of ['1', '21600']) {
      const headers = { 'X-aws-ec2-metadata-token-ttl-seconds': ttl };
      const reply = await ask(`${url}/latest/api/token`, { method: 'PUT', headers });
      assert.equal(reply.status, 200);
      assert.equal(reply.headers['content-type'], 'text/plain');
      assert.equal(reply.headers['x-aws-ec2-metadata-token-ttl-seconds'], ttl);
      assert.match(reply.body, /^\S{56}$/);
      assert.equal((await read(url, reply.body, 'meta-data/instance-id')).status, 200);
    }
  });

  for (const ttl of [undefined, '', '0', '21601', '-1', 'six', ['60', '60']]) {
    it(`are refused with 400 for a TTL header of ${JSON.stringify(ttl)}`, async (t) => {
      const { url } = await start(t);
      const headers = ttl === undefined ? {} : { 'X-aws-ec2-metadata-token-ttl-seconds': ttl };
      const reply = await ask(`${url}/latest/api/token`, { method: 'PUT', headers });
      assertErrorPage(reply, 400, '400 - Bad Request');
    });
  }

  it('are refused with 403 to a request that was forwarded', async (t) => {
    const { url } = await start(t);
    const headers = { 'X-aws-ec2-metadata-token-ttl-seconds': '60', 'X-Forwarded-For': '203.0.113.9' };
    assertErrorPage(await ask(`${url}/latest/api/token`, { method: 'PUT', headers }), 403, '403 - Forbidden');
  });

  it('cannot be had by any other method than PUT', async (t) => {
    const { url } = await start(t);
    for (const method of ['GET', 'POST', 'DELETE']) {
      const reply = await ask(`${url}/latest/api/token`, { method });
      assert.equal(reply.status, 405);
      assert.equal(reply.headers.allow, 'OPTIONS, PUT');
      assert.equal(reply.body, '');
    }
  });

  it('are required: without one, with a wrong one and with one sent twice it is 401', async (t) => {
    const { url } = await start(t);
    const token = await takeToken(url);
    for (const headers of [
      {},
      { 'X-aws-ec2-metadata-token': 'wrong' },
      { 'X-aws-ec2-metadata-token': [token, token] },
    ]) {
      assertErrorPage(await ask(`${url}/latest/meta-data/instance-id`, { headers }), 401, '401 - Unauthorized');
    }
  });

  it('expire by the clock, and each answer says how long its token still lives', async (t) => {
    let nowMs = 1_000_000;
    const { url } = await start(t, { now: () => nowMs });
    const token = await takeToken(url, 60);
    nowMs += 59_999;
    const last = await read(url, token, 'meta-data/instance-id');
    assert.equal(last.status, 200);
    assert.equal(last.headers['x-aws-ec2-metadata-token-ttl-seconds'], '1');
    nowMs += 1;
    assertErrorPage(await read(url, token, 'meta-data/instance-id'), 401, '401 - Unauthorized');
    assert.equal((await read(url, await takeToken(url), 'meta-data/instance-id')).status, 200);
  });

  it('of one instance are nothing to another', async (t) => {
    const [first, second] = await Promise.all([start(t), start(t)]);
    assert.equal((await read(second.url, await takeToken(first.url), 'meta-data/instance-id')).status, 401);
  });

  it('can be made to end before their time', async (t) => {
    const service = await start(t);
    const token = await takeToken(service.url);
    service.tokens.revokeAll();
    assert.equal((await read(service.url, token, 'meta-data/instance-id')).status, 401);
  });
});

describe('the service', () => {
  it('answers every request with 403 while it is disabled, and takes old tokens again after', async (t) => {
    const service = await start(t);
    const token = await takeToken(service.url);
    service.disable();
    assertErrorPage(await read(service.url, token, 'meta-data/instance-id'), 403, '403 - Forbidden');
    assertErrorPage(await ask(`${service.url}/latest/api/token`, { method: 'PUT' }), 403, '403 - Forbidden');
    service.enable();
    assert.equal((await read(service.url, token, 'meta-data/instance-id')).body, 'i-0123456789abcdef0');
  });

  it('answers as EC2 does: plain text, its length, the name EC2ws, and the end of the connection', async (t) => {
    const { url } = await start(t, { instance: { instanceId: 'i-0aaa' } });
    const asked = { 'X-aws-ec2-metadata-token': await takeToken(url), Connection: 'keep-alive' };
    const { headers, body } = await ask(`${url}/latest/meta-data/instance-id?x=1`, { headers: asked });
    assert.equal(body, 'i-0aaa');
    assert.equal(headers['content-type'], 'text/plain');
    assert.equal(headers['content-length'], '6');
    assert.equal(headers['server'], 'EC2ws');
    assert.equal(headers.connection, 'close');
  });

  it('answers HEAD without a body and refuses to be written to', async (t) => {
    const { url } = await start(t);
    const headers = { 'X-aws-ec2-metadata-token': await takeToken(url) };
    const head = await ask(`${url}/latest/meta-data/instance-type`, { method: 'HEAD', headers });
    assert.deepEqual([head.status, head.headers['content-length'], head.body], [200, '9', '']);
    assert.equal((await ask(`${url}/latest/meta-data/instance-type`, { method: 'POST', headers })).status, 405);
  });

  it('lists a path that has others below it', async (t) => {
    const { url } = await start(t);
    const reply = await read(url, await takeToken(url), 'meta-data/placement/');
    assert.deepEqual([reply.status, reply.body], [200, 'availability-zone\nregion']);
  });

  it('remembers each request with its status, but not those that script it', async (t) => {
    const service = await start(t, { now: () => 42 });
    const token = await takeToken(service.url);
    await read(service.url, token, action);
    await ask(`${service.url}/sandbox/notices`);
    assert.deepEqual(service.requests, [
      { method: 'PUT', path: '/latest/api/token', atMs: 42, status: 200 },
      { method: 'GET', path: `/latest/${action}`, atMs: 42, status: 404 },
    ]);
  });

  it('forgets the oldest request beyond ten thousand', async (t) => {
    const service = await start(t);
    service.faults.add({ fault: { kind: 'status', status: 204 } });
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(service.url).port) });
    t.after(() => socket.destroy());
    for (let sent = 0; sent <= 10_000; sent += 1) socket.write(`GET /${sent} HTTP/1.1\r\nHost: sandbox\r\n\r\n`);
    socket.resume();
    for (const giveUpMs = Date.now() + 20_000; service.requests.at(-1)?.path !== '/10000'; ) {
      assert.ok(Date.now() < giveUpMs, `the last request seen is ${service.requests.at(-1)?.path}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual([service.requests.length, service.requests[0]?.path], [10_000, '/1']);
  });

  it('says which address it cannot have', async (t) => {
    const { port } = new URL((await start(t)).url);
    await assert.rejects(
      startMetadataService({ port: Number(port) }),
      new RegExp(`^Error: Cannot start the metadata service on 127.0.0.1:${port}: .*EADDRINUSE`),
    );
  });

  it('serves the client of the agent and the wrapper', async (t) => {
    const service = await start(t);
    const client = new MetadataClient({ endpoint: new URL(service.url), clock: systemClock });
    t.after(() => client.close());
    assert.deepEqual(await client.get(`/latest/${action}`), { kind: 'absent' });
    service.announce('spot', spot);
    service.tokens.revokeAll();
    assert.deepEqual(await client.get(`/latest/${action}`), { kind: 'found', body: JSON.stringify(spot) });
  });
});

describe('notices', () => {
  const documents: { [K in NoticeKind]: Notices[K] } = {
    spot,
    rebalance: { noticeTime: '2026-07-16T19:18:24Z' },
    maintenance: [reboot],
    asg: { state: 'Terminated' },
  };
  const shown: [kind: NoticeKind, path: string, body: string][] = [
    ['spot', action, '{"action":"terminate","time":"2026-04-24T17:11:44Z"}'],
    ['spot', 'meta-data/spot/termination-time', '2026-04-24T17:11:44Z'],
    ['rebalance', 'meta-data/events/recommendations/rebalance', '{"noticeTime":"2026-07-16T19:18:24Z"}'],
    ['maintenance', 'meta-data/events/maintenance/scheduled', JSON.stringify([reboot])],
    ['asg', 'meta-data/autoscaling/target-lifecycle-state', 'Terminated'],
  ];
  for (const [kind, path, body] of shown) {
    it(`of the kind ${kind} are at ${path} from announcement to withdrawal`, async (t) => {
      const service = await start(t);
      const token = await takeToken(service.url);
      const assertNothing = async (): Promise<void> => {
        const reply = await read(service.url, token, path);
        if (kind === 'maintenance') assert.deepEqual([reply.status, reply.body], [200, '[]']);
        else assertErrorPage(reply, 404, '404 - Not Found');
      };
      await assertNothing();
      service.announce(kind, documents[kind]);
      const { status, headers, body: found } = await read(service.url, token, path);
      assert.deepEqual([status, headers['content-type'], found], [200, 'text/plain', body]);
      service.withdraw(kind);
      await assertNothing();
    });

    it(`of the kind ${kind} can be scripted over HTTP and show at ${path}`, async (t) => {
      const service = await start(t);
      const control = `${service.url}/sandbox/notices/${kind}`;
      assert.equal((await ask(control)).status, 404);
      const put = await ask(control, { method: 'PUT', body: JSON.stringify(documents[kind]) });
      assert.deepEqual([put.status, JSON.parse(put.body)], [200, documents[kind]]);
      assert.equal((await read(service.url, await takeToken(service.url), path)).body, body);
      assert.deepEqual(JSON.parse((await ask(control)).body), documents[kind]);
      assert.deepEqual(JSON.parse((await ask(`${service.url}/sandbox/notices`)).body), { [kind]: documents[kind] });
      assert.equal((await ask(control, { method: 'DELETE' })).status, 204);
      assert.equal((await ask(control)).status, 404);
    });
  }

  it('can be announced while the instance cannot reach its metadata', async (t) => {
    const service = await start(t);
    service.disable();
    service.faults.add({ fault: { kind: 'reset' } });
    const put = await ask(`${service.url}/sandbox/notices/spot`, { method: 'PUT', body: JSON.stringify(spot) });
    assert.equal(put.status, 200);
  });

  it('that EC2 would not show are refused, and the one before stays', async (t) => {
    const service = await start(t);
    service.announce('spot', spot);
    assert.throws(() => service.announce('spot', { ...spot, time: 'soon' }), TypeError);
    const control = `${service.url}/sandbox/notices/spot`;
    const bad = await ask(control, { method: 'PUT', body: '{"action":"explode"}' });
    assert.equal(bad.status, 400);
    assert.match(bad.body, /spot\.action must be terminate, stop, hibernate/);
    assert.equal((await ask(control, { method: 'PUT', body: '{' })).status, 400);
    assert.equal((await ask(control, { method: 'PUT', body: ' '.repeat(65_537) })).status, 413);
    assert.deepEqual(JSON.parse((await ask(control)).body), spot);
  });

  it('have no other kinds and no other methods', async (t) => {
    const { url } = await start(t);
    assert.equal((await ask(`${url}/sandbox/notices/earthquake`)).status, 404);
    assert.equal((await ask(`${url}/sandbox/notices/toString`, { method: 'DELETE' })).status, 404);
    assert.equal((await ask(`${url}/sandbox/elsewhere`)).status, 404);
    const posted = await ask(`${url}/sandbox/notices/spot`, { method: 'POST', body: '{}' });
    assert.deepEqual([posted.status, posted.headers.allow], [405, 'GET, PUT, DELETE']);
  });
});
