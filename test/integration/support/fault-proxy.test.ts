import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { Agent, type RequestOptions, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { type FaultProxy, type FaultProxyOptions, startFaultProxy } from '../../support/fault-proxy.ts';
import { testCertificates } from '../../support/test-certificates.ts';
import { eventually } from '../agent/scene/eventually.ts';

/**
 * A server that answers with method, path and body, or streams a line for each call of `say`; a proxy before it; a
 * client of its own.
 */
async function scene(options: Partial<FaultProxyOptions> = {}) {
  const seen: string[] = [];
  const streams = new Set<(line: string) => void>();
  const server = createServer(async (incoming, response) => {
    let body = '';
    for await (const chunk of incoming) body += String(chunk);
    seen.push(`${incoming.method} ${incoming.url} ${body}`);
    if (!incoming.url?.includes('watch=true')) return response.end(`${incoming.method} ${incoming.url} ${body}`);
    response.writeHead(200).flushHeaders();
    return streams.add((line) => response.write(`${line}\n`));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const target = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const proxy = await startFaultProxy({ target, ...options });
  const agent = new Agent({ keepAlive: true, ca: testCertificates.first.cert });
  return {
    proxy,
    seen,
    say: (line: string) => {
      for (const write of streams) write(line);
    },
    call: (path: string, more: RequestOptions = {}, body?: string) => call(proxy, agent, path, more, body),
    watch: (path: string) => watch(proxy, agent, path),
    [Symbol.asyncDispose]: async () => {
      agent.destroy();
      await proxy[Symbol.asyncDispose]();
      server.closeAllConnections();
      server.close();
    },
  };
}

async function call(proxy: FaultProxy, agent: Agent, path: string, more: RequestOptions, body = '') {
  const outgoing = request(new URL(path, proxy.url), { agent, ...more }).end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, text, isReused: outgoing.reusedSocket };
}

async function watch(proxy: FaultProxy, agent: Agent, path: string) {
  const outgoing = request(new URL(path, proxy.url), { agent }).end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  let text = '';
  response.on('data', (chunk) => {
    text += String(chunk);
  });
  return { text: () => text };
}

describe('the fault proxy', () => {
  test('passes requests and answers over TLS, over connections that are kept', async () => {
    await using here = await scene();
    assert.deepEqual(await here.call('/a', { method: 'POST' }, 'body'), {
      status: 200,
      text: 'POST /a body',
      isReused: false,
    });
    assert.equal((await here.call('/b')).isReused, true);
    assert.deepEqual(
      here.proxy.requests.map(({ method, path, httpVersion, fate }) => [method, path, httpVersion, fate]),
      [
        ['POST', '/a', '1.1', 'passed'],
        ['GET', '/b', '1.1', 'passed'],
      ],
    );
  });

  test('offers HTTP/2 where it is asked to, and HTTP/1.1 beside it', async () => {
    await using here = await scene({ offersHttp2: true });
    const session = connectHttp2(here.proxy.url, { ca: testCertificates.first.cert });
    const stream = session.request({ ':path': '/over-h2', ':method': 'POST' }).end('body');
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    session.close();
    assert.equal(text, 'POST /over-h2 body');
    assert.equal((await here.call('/over-h1')).text, 'GET /over-h1 ');
    assert.deepEqual(
      here.proxy.requests.map(({ httpVersion }) => httpVersion),
      ['2.0', '1.1'],
    );
  });

  test('holds everything back while the network is silent, and lets it through afterwards', async () => {
    await using here = await scene();
    await here.call('/before');
    here.proxy.network.silence();
    const onOld = here.call('/on-old-connection');
    const onNew = here.call('/on-new-connection', { agent: false, ca: testCertificates.first.cert });
    await eventually('both connections are there', () => here.proxy.network.connections.length === 2);
    assert.equal(here.proxy.requests.length, 1);
    here.proxy.network.restore();
    assert.equal((await onOld).text, 'GET /on-old-connection ');
    assert.equal((await onNew).text, 'GET /on-new-connection ');
  });

  test('drops what a client took back by a reset while the network was silent', async () => {
    await using here = await scene({ certificate: 'plain' });
    const { connect } = await import('node:net');
    const socket = connect(here.proxy.network.port, '127.0.0.1').on('error', () => {});
    await eventually('the connection is there', () => here.proxy.network.connections.length === 1);
    here.proxy.network.silence();
    socket.write('DELETE /stale HTTP/1.1\r\nhost: x\r\n\r\n');
    socket.once('connect', () => {});
    await eventually('the bytes have left', () => socket.writableLength === 0);
    socket.resetAndDestroy();
    await eventually('the reset has arrived', () => here.proxy.network.connections.length === 0);
    const other = connect(here.proxy.network.port, '127.0.0.1').on('error', () => {});
    await eventually('the second connection is there', () => here.proxy.network.connections.length === 1);
    other.end('DELETE /closed HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    here.proxy.network.restore();
    await eventually('what was only closed arrives', () => here.proxy.requests.some(({ path }) => path === '/closed'));
    assert.deepEqual(
      here.proxy.requests.map(({ path }) => path),
      ['/closed'],
    );
  });

  test('lets old connections go dead while new ones work', async () => {
    await using here = await scene();
    await here.call('/before');
    here.proxy.network.killExisting();
    const onDead = here.call('/dead').catch((error: Error) => error);
    assert.equal((await here.call('/new', { agent: false, ca: testCertificates.first.cert })).status, 200);
    assert.deepEqual(
      here.proxy.requests.map(({ path }) => path),
      ['/before', '/new'],
    );
    here.proxy.network.reset();
    assert.ok((await onDead) instanceof Error);
  });

  test('refuses connections until it is restored', async () => {
    await using here = await scene();
    await here.call('/before');
    here.proxy.network.refuse();
    await assert.rejects(here.call('/refused'));
    here.proxy.network.restore();
    assert.equal((await here.call('/after')).status, 200);
  });

  test('delays what passes', async () => {
    await using here = await scene();
    await here.call('/before');
    here.proxy.network.delay(200);
    const startMs = performance.now();
    await here.call('/late');
    assert.ok(performance.now() - startMs >= 400, 'both ways are delayed');
  });

  test('answers chosen requests itself, and says that nobody else saw them', async () => {
    await using here = await scene();
    here.proxy.faults.add({
      method: 'PATCH',
      path: '^/nodes',
      times: 1,
      fault: { kind: 'status', status: 404, headers: { 'content-type': 'text/html' }, body: '<h1>404</h1>' },
    });
    assert.deepEqual(await here.call('/nodes', { method: 'PATCH' }), {
      status: 404,
      text: '<h1>404</h1>',
      isReused: false,
    });
    assert.equal((await here.call('/nodes', { method: 'PATCH' })).status, 200);
    assert.deepEqual(here.seen, ['PATCH /nodes ']);
    assert.deepEqual(
      here.proxy.requests.map(({ fate }) => fate),
      ['faulted', 'passed'],
    );
  });

  test('lets watches go silent, and nothing else', async () => {
    await using here = await scene();
    const watching = await here.watch('/pods?watch=true');
    here.say('first');
    await eventually('the first line', () => watching.text() === 'first\n');
    here.proxy.silenceWatches();
    here.say('second');
    assert.equal((await here.call('/other')).status, 200);
    assert.equal(watching.text(), 'first\n');
    here.proxy.silenceWatches(false);
    await eventually('the second line', () => watching.text() === 'first\nsecond\n');
  });
});
