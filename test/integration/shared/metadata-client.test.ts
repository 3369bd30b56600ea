import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { Fault } from '../../../sandbox/faults.ts';
import {
  type MetadataService,
  type MetadataServiceOptions,
  startMetadataService,
} from '../../../sandbox/metadata/metadata-service.ts';
import type { Clock } from '../../../shared/clock.ts';
import { readInstance } from '../../../shared/metadata/instance.ts';
import { MetadataClient, type MetadataClientOptions, MetadataError } from '../../../shared/metadata/metadata-client.ts';
import { fillBacklog } from './full-backlog.ts';

const path = '/latest/meta-data/instance-id';
const noticePath = '/latest/meta-data/spot/instance-action';
const tokenPath = '/latest/api/token';
const ttlSeconds = 21_600;

/** A clock that the test moves; the service goes by the same. */
class MovedClock implements Clock {
  nowMs = Date.UTC(2026, 3, 24);
  now = (): number => this.nowMs;

  sleep(): Promise<void> {
    throw new Error('nobody sleeps here');
  }
}

interface Setup {
  readonly service: MetadataService;
  readonly client: MetadataClient;
  readonly clock: MovedClock;
  /** Requests for a token that the service has seen. */
  readonly tokens: () => number;
}

async function start(
  t: TestContext,
  options: Partial<MetadataClientOptions> = {},
  instance: MetadataServiceOptions['instance'] = {},
): Promise<Setup> {
  const clock = new MovedClock();
  const service = await startMetadataService({ now: clock.now, instance });
  t.after(() => service.close());
  const client = new MetadataClient({ endpoint: new URL(service.url), clock, timeoutMs: 5000, ...options });
  t.after(() => client.close());
  const tokens = () => service.requests.filter((request) => request.path === tokenPath).length;
  return { service, client, clock, tokens };
}

function failure(expected: string, message: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof MetadataError, String(error));
    assert.equal(error.failure, expected);
    assert.match(error.message, /^Cannot read instance metadata \/latest\//);
    assert.match(error.message, message);
    return true;
  };
}

describe('the metadata client', () => {
  it('reads what is there and tells what is not from a failure', async (t) => {
    const { client } = await start(t);
    assert.deepEqual(await client.get(path), { kind: 'found', body: 'i-0123456789abcdef0' });
    assert.deepEqual(await client.get(noticePath), { kind: 'absent' });
  });

  it('asks for one token, also for many paths at once', async (t) => {
    const { client, tokens } = await start(t);
    await Promise.all(Array.from({ length: 20 }, () => client.get(path)));
    await client.get(path);
    assert.equal(tokens(), 1);
  });

  it('asks for a new token at half the life of the old one, before any request fails', async (t) => {
    const { service, client, clock, tokens } = await start(t);
    await client.get(path);
    clock.nowMs += (ttlSeconds / 2) * 1000 - 1;
    await client.get(path);
    assert.equal(tokens(), 1);
    clock.nowMs += 1;
    await client.get(path);
    assert.equal(tokens(), 2);
    assert.ok(service.requests.every(({ status }) => status === 200));
  });

  it('goes on with the old token while a new one is not to be had, and asks again half a minute later', async (t) => {
    const { service, client, clock, tokens } = await start(t);
    await client.get(path);
    const id = service.faults.add({ method: 'PUT', fault: { kind: 'status', status: 503 } });
    clock.nowMs += (ttlSeconds / 2) * 1000;
    assert.equal((await client.get(path)).kind, 'found');
    assert.equal((await client.get(path)).kind, 'found');
    assert.equal(tokens(), 2);
    clock.nowMs += 30_000;
    assert.equal((await client.get(path)).kind, 'found');
    assert.equal(tokens(), 3);
    clock.nowMs += (ttlSeconds / 2) * 1000;
    await assert.rejects(client.get(path), failure('status', /token: HTTP 503$/));
    service.faults.remove(id);
    assert.equal((await client.get(path)).kind, 'found');
  });

  it('asks for a new token at once when the service has forgotten the old one', async (t) => {
    const { service, client, tokens } = await start(t);
    await client.get(path);
    service.faults.add({ method: 'GET', times: 1, fault: { kind: 'status', status: 401 } });
    assert.equal((await client.get(path)).kind, 'found');
    assert.equal(tokens(), 2);
  });

  it('does not throw away the new token when the last answer to the old one comes late', async (t) => {
    const { service, clock, tokens } = await start(t);
    // By its own clock the old token is fresh for hours.
    const client = new MetadataClient({ endpoint: new URL(service.url), clock: new MovedClock(), timeoutMs: 5000 });
    await client.get(path);
    clock.nowMs += ttlSeconds * 1000 + 1;
    service.faults.add({ method: 'GET', times: 1, fault: { kind: 'delay', delayMs: 300 } });
    const late = client.get(path);
    assert.equal((await client.get(noticePath)).kind, 'absent');
    assert.equal((await late).kind, 'found');
    assert.equal(tokens(), 2);
  });

  it('comes through an expired token that our clock takes for a fresh one', async (t) => {
    const { client, clock, tokens } = await start(t);
    await client.get(path);
    clock.nowMs += ttlSeconds * 1000 + 1;
    const late = clock.nowMs;
    // The client looks at the clock first, and for that moment it has been set back.
    let looks = 0;
    clock.now = () => (looks++ === 0 ? late - ttlSeconds * 1000 : late);
    assert.equal((await client.get(path)).kind, 'found');
    assert.equal(tokens(), 2);
  });

  it('says that it may not read where even a new token does not help', async (t) => {
    const { service, client } = await start(t);
    service.faults.add({ method: 'GET', fault: { kind: 'status', status: 401 } });
    await assert.rejects(client.get(path), failure('unauthorized', /instance-id: HTTP 401$/));
  });

  it('sees a service that is turned off, and one that is turned on again', async (t) => {
    const { service, client } = await start(t);
    service.disable();
    await assert.rejects(client.get(path), failure('forbidden', /token: HTTP 403$/));
    service.enable();
    assert.equal((await client.get(path)).kind, 'found');
    service.disable();
    await assert.rejects(client.get(path), failure('forbidden', /instance-id: HTTP 403$/));
  });

  const faults: readonly (readonly [name: string, fault: Fault, failure: string, message: RegExp])[] = [
    ['an error of the service', { kind: 'status', status: 500, body: '<html>' }, 'status', /: HTTP 500$/],
    ['a service that has too much to do', { kind: 'status', status: 503 }, 'status', /: HTTP 503$/],
    ['a detour', { kind: 'status', status: 302, headers: { location: '/' } }, 'status', /: HTTP 302$/],
    ['a reset', { kind: 'reset' }, 'connection', /ECONNRESET|socket hang up/],
    ['a service that never answers', { kind: 'hang' }, 'timeout', /no response within 200 ms$/],
    ['a body that is too long', { kind: 'garbage', body: 'ä'.repeat(32_769) }, 'too-long', /more than 65536 bytes$/],
  ];
  for (const [name, fault, kind, message] of faults)
    for (const method of ['PUT', 'GET'])
      it(`tells ${name} by its name, at the ${method === 'PUT' ? 'token' : 'path'}, and recovers`, async (t) => {
        const { service, client } = await start(t, fault.kind === 'hang' ? { timeoutMs: 200 } : {});
        const id = service.faults.add({
          method,
          fault,
        });
        await assert.rejects(client.get(path), failure(kind, message));
        service.faults.remove(id);
        assert.equal((await client.get(path)).kind, 'found');
      });

  it('keeps no token that could not be sent, which would blind it until it expires', async (t) => {
    const { service, client } = await start(t);
    for (const body of [undefined, '', '<html>\n<body>', 'x'.repeat(1025)]) {
      service.faults.add({ method: 'PUT', times: 1, fault: { kind: 'garbage', ...(body !== undefined && { body }) } });
      await assert.rejects(client.get(path), failure('garbage', /the response is not a token$/));
    }
    assert.equal((await client.get(path)).kind, 'found');
  });

  it('passes on a body as it is, whatever it says', async (t) => {
    const { service, client } = await start(t);
    service.faults.add({ method: 'GET', times: 1, fault: { kind: 'garbage', body: 'ä🎮'.repeat(9000) } });
    assert.deepEqual(await client.get(path), { kind: 'found', body: 'ä🎮'.repeat(9000) });
  });

  it('keeps its time limit while the answer drips', async (t) => {
    const drip = await listen(t, (server) =>
      server.on('connection', (socket) => {
        socket.on('error', () => {});
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n');
        const dripping = setInterval(() => socket.write('x'), 20);
        socket.on('close', () => clearInterval(dripping));
      }),
    );
    const client = new MetadataClient({ endpoint: drip, clock: new MovedClock(), timeoutMs: 200 });
    await assert.rejects(client.get(path), failure('timeout', /no response within 200 ms$/));
  });

  it('keeps its time limit while the TCP connect hangs', async (t) => {
    const { port, close } = await fillBacklog();
    t.after(close);
    const endpoint = new URL(`http://127.0.0.1:${port}`);
    const client = new MetadataClient({ endpoint, clock: new MovedClock(), timeoutMs: 200 });
    const startedMs = performance.now();
    await assert.rejects(client.get(path), failure('timeout', /no response within 200 ms$/));
    assert.ok(performance.now() - startedMs < 2000);
  });

  const nonsense: readonly (readonly [name: string, bytes: string, failure: string])[] = [
    ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n', 'garbage'],
    ['an endless header', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(100_000)}\r\n\r\n`, 'garbage'],
    ['an answer that is cut off', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc', 'connection'],
    ['a closed door', '', 'connection'],
  ];
  for (const [name, bytes, kind] of nonsense)
    it(`survives ${name}`, async (t) => {
      const endpoint = await listen(t, (server) =>
        server.on('connection', (socket) => {
          socket.on('error', () => {});
          socket.once('data', () => socket.end(bytes));
        }),
      );
      const client = new MetadataClient({ endpoint, clock: new MovedClock(), timeoutMs: 5000 });
      await assert.rejects(client.get(path), failure(kind, /./));
    });

  it('tells a port on which nobody listens', async (t) => {
    const gone = await listen(t, (server) => server);
    await new Promise((resolve) => servers.get(gone.href)?.close(resolve));
    const client = new MetadataClient({ endpoint: gone, clock: new MovedClock() });
    await assert.rejects(client.get(path), failure('connection', /ECONNREFUSED/));
  });

  it('tells an endpoint that it cannot speak to', async () => {
    const client = new MetadataClient({ endpoint: new URL('https://127.0.0.1:1'), clock: new MovedClock() });
    await assert.rejects(client.get(path), failure('connection', /https:\/\/127\.0\.0\.1:1 is not an http address$/));
  });

  for (const method of ['PUT', 'GET'])
    it(`ends with the reason of a caller who leaves during a ${method} that hangs`, async (t) => {
      const { service, client } = await start(t);
      service.faults.add({ method, fault: { kind: 'hang' } });
      const leave = new AbortController();
      const left = assert.rejects(client.get(path, leave.signal), { message: 'enough' });
      const isAsked = () => service.requests.at(-1)?.method === method;
      for (const giveUpMs = Date.now() + 5000; !isAsked(); await new Promise((resolve) => setImmediate(resolve)))
        assert.ok(Date.now() < giveUpMs, `no ${method} came`);
      leave.abort(new Error('enough'));
      await left;
    });

  it('asks nothing for a caller who has left already', async (t) => {
    const { service, client } = await start(t);
    await assert.rejects(client.get(path, AbortSignal.abort(new Error('before'))), { message: 'before' });
    assert.deepEqual(service.requests, []);
  });

  it('lets one caller leave without taking the token from the others', async (t) => {
    const { service, client, tokens } = await start(t);
    service.faults.add({ method: 'PUT', times: 1, fault: { kind: 'delay', delayMs: 50 } });
    const leave = new AbortController();
    const left = client.get(path, leave.signal);
    const stays = client.get(path);
    leave.abort(new Error('enough'));
    await assert.rejects(left, { message: 'enough' });
    assert.equal((await stays).kind, 'found');
    assert.equal(tokens(), 1);
  });

  it('asks at most four things at a time, each on a connection of its own, and keeps none open', async (t) => {
    const connections = { opened: 0, closed: 0 };
    let unanswered = 0;
    let most = 0;
    const endpoint = await listen(t, (server) =>
      server.on('connection', (socket) => {
        connections.opened++;
        socket.on('error', () => {});
        socket.on('close', () => connections.closed++);
        socket.on('data', async () => {
          most = Math.max(most, ++unanswered);
          // Long enough for whoever does not wait for its turn to come as well.
          for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
          unanswered--;
          // Unlike EC2 it says nothing of closing the connection, which is then free to be used again.
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx');
        });
      }),
    );
    const client = new MetadataClient({ endpoint, clock: new MovedClock(), timeoutMs: 10_000 });
    await Promise.all(Array.from({ length: 20 }, () => client.get(path)));
    for (const giveUpMs = Date.now() + 5000; connections.closed < 21; await new Promise(setImmediate))
      assert.ok(Date.now() < giveUpMs, `${connections.opened - connections.closed} connections stay open`);
    assert.deepEqual([most, connections.opened], [4, 21]);
  });
});

describe('the facts of an instance', () => {
  it('are those of the service', async (t) => {
    const described = { publicHostname: 'ec2-203-0-113-7.eu-west-1.compute.amazonaws.com', publicIp: '203.0.113.7' };
    const { client } = await start(t, {}, described);
    const { facts: instance, missing, problems } = await readInstance(client);
    assert.deepEqual([missing, problems], [[], []]);
    assert.equal(instance.instanceId, 'i-0123456789abcdef0');
    assert.equal(instance.instanceType, 'c6i.large');
    assert.equal(instance.region, 'eu-west-1');
    assert.equal(instance.zone, 'eu-west-1a');
    assert.equal(instance.lifecycle, 'spot');
    assert.equal(instance.publicHostname, described.publicHostname);
    assert.equal(instance.publicIpv4, described.publicIp);
    assert.equal(instance.localIpv4, '10.0.1.23');
    assert.equal(instance.ipv6, undefined);
  });

  it('are unknown where the service has none, or an empty answer', async (t) => {
    const { service, client } = await start(t);
    service.faults.add({ path: 'public-', fault: { kind: 'status', status: 404, body: '<html>' } });
    service.faults.add({ path: 'instance-type', fault: { kind: 'garbage', body: ' \n' } });
    const { publicHostname, publicIpv4, instanceType, instanceId } = (await readInstance(client)).facts;
    assert.deepEqual([publicHostname, publicIpv4, instanceType], [undefined, undefined, undefined]);
    assert.equal(instanceId, 'i-0123456789abcdef0');
  });

  it('are never an error page, nor another thing that is no name', async (t) => {
    const { service, client } = await start(t);
    for (const body of ['<html>maintenance</html>', 'a b', 'x'.repeat(254), '{"a":1}', 'network/']) {
      const id = service.faults.add({ path: 'public-hostname', fault: { kind: 'garbage', body } });
      const { facts, missing, problems } = await readInstance(client);
      assert.deepEqual([missing, problems.map(({ failure }) => failure)], [['publicHostname'], ['garbage']]);
      assert.deepEqual([facts.instanceId, facts.localIpv4], ['i-0123456789abcdef0', '10.0.1.23']);
      service.faults.remove(id);
    }
  });

  it('are read each by itself: one that cannot be read is asked for again, alone', async (t) => {
    const { service, client } = await start(t, { timeoutMs: 300 });
    service.faults.add({ id: 'region', path: 'placement/region', fault: { kind: 'status', status: 500 } });
    service.faults.add({ id: 'type', path: 'instance-type', fault: { kind: 'hang' } });
    const first = await readInstance(client);
    assert.deepEqual(first.missing.toSorted(), ['instanceType', 'region']);
    assert.equal(first.facts.zone, 'eu-west-1a');
    service.faults.clear();
    const before = service.requests.length;
    assert.deepEqual(await readInstance(client, first.missing), {
      facts: { instanceType: 'c6i.large', region: 'eu-west-1' },
      missing: [],
      problems: [],
    });
    assert.equal(service.requests.length, before + 2);
  });

  it('are given up after the first failure where the service answers nothing', async (t) => {
    const { service, client } = await start(t, { timeoutMs: 300 });
    await client.get(path);
    const before = service.requests.length;
    service.faults.add({ method: 'GET', fault: { kind: 'hang' } });
    const { facts, missing, problems } = await readInstance(client);
    assert.deepEqual([facts, missing.length], [{}, 9]);
    assert.ok(problems.every(({ failure }) => failure === 'timeout'));
    assert.equal(service.requests.length, before + 2);
  });
});

describe('a metadata service that takes its time', () => {
  it('is waited for longer, once it has shown how slow it is', async (t) => {
    const { service, client } = await start(t, { timeoutMs: 100, maxTimeoutMs: 20_000 });
    service.faults.add({ fault: { kind: 'delay', delayMs: 150 } });
    for (let tries = 0; ; tries++) {
      const answer = await client.get(path).catch(() => undefined);
      if (answer?.kind === 'found') break;
      assert.ok(tries < 20, 'it never answers in time');
    }
    // From now on every answer comes in time.
    for (let reads = 0; reads < 5; reads++) assert.equal((await client.get(path)).kind, 'found');
  });

  it('tells all facts, though they come one after the other over few connections', async (t) => {
    const { service, client } = await start(t, { timeoutMs: 1000 });
    service.faults.add({ fault: { kind: 'delay', delayMs: 450 } });
    let reading = await readInstance(client);
    // A machine that is busy with other tests may lose one or two to the limit.
    for (let tries = 0; reading.missing.length > 0 && tries < 5; tries++)
      reading = await readInstance(client, reading.missing);
    assert.deepEqual(reading.missing, []);
  });

  it('is not blamed for requests that wait for their turn', async (t) => {
    const { service, client } = await start(t, { timeoutMs: 5000, maxTimeoutMs: 5000 });
    await client.get(path);
    service.faults.add({ fault: { kind: 'delay', delayMs: 1500 } });
    const answers = await Promise.all(Array.from({ length: 16 }, () => client.get(path)));
    assert.ok(answers.every(({ kind }) => kind === 'found'));
  });

  it('says what time it is there', async (t) => {
    const dates: unknown[] = [];
    const { client } = await start(t, { onDate: (date, askedMs) => dates.push([typeof date, askedMs > 0]) });
    await client.get(path);
    assert.deepEqual(dates, [
      ['string', true],
      ['string', true],
    ]);
  });
});

const servers = new Map<string, Server>();

/** A bare TCP server that answers as told. */
async function listen(t: TestContext, answer: (server: Server) => Server): Promise<URL> {
  const server = answer(createServer());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  servers.set(url.href, server);
  t.after(() => server.close());
  return url;
}
