import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import {
  closeHttpServer,
  createHttpServer,
  type HttpHandler,
  type HttpServerOptions,
} from '../../../shared/http/http-server.ts';
import { createHttpsServer } from '../../../shared/http/https-server.ts';
import { listen } from '../../../shared/listen.ts';
import { testCertificates } from '../../support/test-certificates.ts';
import { eventually } from '../agent/scene/eventually.ts';

const sayOk: HttpHandler = (_request, response) => void response.end('ok');

async function scene(t: TestContext, handle: HttpHandler = sayOk, isSecure = false) {
  const errors: unknown[] = [];
  const options: HttpServerOptions = {
    maxConnections: 4,
    requestMs: 1000,
    takesUpgrade: ({ headers }) => headers.upgrade === 'websocket',
    onError: (error: unknown) => errors.push(error),
  };
  const server = isSecure
    ? createHttpsServer(handle, options, testCertificates.first)
    : createHttpServer(handle, options);
  const port = await listen(server, { port: 0, host: '127.0.0.1' });
  const sockets: Socket[] = [];
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await closeHttpServer(server);
  });
  /** A connection that has sent this, and what came back. */
  const open = async (text: string) => {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    sockets.push(socket);
    const here = { socket, received: '', isClosed: false };
    socket.on('data', (chunk) => {
      here.received += String(chunk);
    });
    socket.once('close', () => {
      here.isClosed = true;
    });
    await once(socket, 'connect');
    socket.write(text);
    return here;
  };
  const ask = async (text = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n') => {
    const here = await open(text);
    await eventually('an answer', () => here.received.includes('\r\n\r\n'));
    return here;
  };
  return { server, port, errors, open, ask };
}

describe('an HTTP server', { concurrency: 4 }, () => {
  test('answers although more connections say nothing than it may have', async (t) => {
    const { open, ask } = await scene(t);
    const silent = await Promise.all(Array.from({ length: 8 }, () => open('')));
    assert.match((await ask()).received, /200 OK[\s\S]*ok$/);
    await eventually('the oldest had to go', () => silent.filter(({ isClosed }) => isClosed).length >= 5);
  });

  test('leaves connections alone that wait for their answer', async (t) => {
    const answers: (() => void)[] = [];
    const { ask, open } = await scene(t, ({ url }, response) => {
      if (url === '/slow') answers.push(() => response.end('slow'));
      else response.end('quick');
    });
    const slow = await Promise.all(Array.from({ length: 3 }, () => open('GET /slow HTTP/1.1\r\nhost: x\r\n\r\n')));
    await eventually('all have arrived', () => answers.length === 3);
    for (let other = 0; other < 5; other++) await ask();
    for (const answer of answers) answer();
    for (const here of slow) await eventually('its answer', () => here.received.endsWith('slow'));
  });

  test('leaves a connection alone that was upgraded', async (t) => {
    const { server, open, ask } = await scene(t);
    server.on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
      socket.resume().on('end', () => socket.end());
    });
    const upgraded = await ask('GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    assert.match(upgraded.received, /^HTTP\/1.1 101 /);
    const silent = await Promise.all(Array.from({ length: 8 }, () => open('')));
    await eventually('silent ones had to go', () => silent.filter(({ isClosed }) => isClosed).length >= 5);
    assert.equal(upgraded.isClosed, false);
  });

  test('over TLS, drops those that begin no handshake and none that waits for its answer', async (t) => {
    const answers: (() => void)[] = [];
    const { port, open } = await scene(t, (_request, response) => void answers.push(() => response.end('ok')), true);
    const { cert: ca } = testCertificates.first;
    const asked = request({ port, host: '127.0.0.1', ca, agent: false }).end();
    const response = once(asked, 'response');
    await eventually('the request has arrived', () => answers.length === 1);
    const silent = await Promise.all(Array.from({ length: 8 }, () => open('')));
    await eventually('the oldest had to go', () => silent.filter(({ isClosed }) => isClosed).length >= 5);
    answers[0]?.();
    assert.equal(await text((await response)[0]), 'ok');
    await eventually('all are closed', () => silent.every(({ isClosed }) => isClosed), 20_000);
  });

  test('closes a connection that sends nothing, or half a request, soon after its limit', async (t) => {
    const { open } = await scene(t);
    const silent = await open('');
    const half = await open('GET / HTTP/1.1\r\nhost:');
    await eventually('both are closed', () => silent.isClosed && half.isClosed, 20_000);
    assert.match(half.received, /^HTTP\/1.1 408 /);
  });

  test('answers HEAD without a body', async (t) => {
    const { ask } = await scene(t);
    const { received } = await ask('HEAD / HTTP/1.1\r\nhost: x\r\n\r\n');
    assert.match(received, /^HTTP\/1.1 200 OK\r\n[\s\S]*\r\n\r\n$/);
  });

  test('answers an offer to upgrade as if it had not been made', async (t) => {
    const { ask } = await scene(t);
    const { received } = await ask(
      'GET / HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAA\r\n\r\n',
    );
    assert.match(received, /^HTTP\/1.1 200 OK/);
  });

  test('answers 500 where its handler throws, and goes on', async (t) => {
    const { ask, errors } = await scene(t, ({ url }) => {
      throw new Error(`no ${url}`);
    });
    assert.match((await ask()).received, /^HTTP\/1.1 500 /);
    assert.match((await ask()).received, /^HTTP\/1.1 500 /);
    assert.deepEqual(errors.map(String), ['Error: no /', 'Error: no /']);
  });

  test('says why it cannot listen, and can try again', async (t) => {
    const { port, server } = await scene(t);
    const other: Server = createHttpServer(sayOk, { maxConnections: 1, requestMs: 1000, onError: () => {} });
    const where = { port, host: '127.0.0.1' };
    await assert.rejects(listen(other, where), { code: 'EADDRINUSE' });
    await closeHttpServer(server);
    assert.equal(await listen(other, where), port);
    await closeHttpServer(other);
  });
});
