import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { suite, test } from 'node:test';
import { Client, credentials, status } from '@grpc/grpc-js';
import { eventually } from '../wrapper/wrapper-process.ts';
import { readToEnd, SdkProcess } from './sdk-process.ts';

/** What a server may grow by under any of this: a runaway queue would take hundreds. */
const maxGrowthMib = 160;

const watchRequest = 'GET /watch/gameserver HTTP/1.1\r\nHost: x\r\n\r\n';

async function setNote(server: SdkProcess, text: string): Promise<void> {
  const { status: code } = await server.call(
    'PUT',
    '/metadata/annotation',
    JSON.stringify({ key: 'note', value: text }),
  );
  assert.equal(code, 200);
}

suite('The SDK server stays small and well', () => {
  test('while 1,000 watchers come, hear the news, go and come again', async (t) => {
    const server = await SdkProcess.start(t);
    const before = await server.memoryMib();
    for (let round = 1; round <= 3; round++) {
      const watchers = await Promise.all(Array.from({ length: 1000 }, () => server.connect(t)));
      const heard = watchers.map((watcher) => hears(watcher, `round-${round}`));
      for (const watcher of watchers) watcher.write(watchRequest);
      await setNote(server, `round-${round}`);
      await Promise.all(heard);
      for (const watcher of watchers) watcher.destroy();
    }
    assert.equal((await server.call('GET', '/gameserver')).status, 200);
    const growth = (await server.memoryMib()) - before;
    t.diagnostic(`3 x 1,000 watchers: ${growth.toFixed(1)} MiB more`);
    assert.ok(growth < maxGrowthMib, `${growth} MiB more`);
  });

  test('while 100 watchers never read and the game changes a thousand times', async (t) => {
    const server = await SdkProcess.start(t, 'stopped-clock');
    const watchers = await Promise.all(Array.from({ length: 100 }, () => server.connect(t)));
    for (const watcher of watchers) watcher.pause().write(watchRequest);
    const before = await server.memoryMib();
    for (let change = 0; change < 1000; change++) await setNote(server, `${change}`.padEnd(30_000, 'x'));
    const growth = (await server.memoryMib()) - before;
    t.diagnostic(`100 watchers that never read: ${growth.toFixed(1)} MiB more`);
    // Some 17 where each skips what it cannot take, 120 where every version waits for every one of them.
    assert.ok(growth < 64, `${growth} MiB more`);
    // One that reads at last is up to date.
    const [late] = watchers;
    assert.ok(late);
    const news = hears(late, '999xxx');
    late.resume();
    await news;
  });

  test('while a gRPC watcher never reads and the game changes a thousand times', async (t) => {
    const server = await SdkProcess.start(t);
    const client = new Client(`127.0.0.1:${server.grpcPort}`, credentials.createInsecure());
    t.after(() => client.close());
    const same = (value: Buffer) => value;
    const watch = '/agones.dev.sdk.SDK/WatchGameServer';
    const streams = Array.from({ length: 50 }, () =>
      client.makeServerStreamRequest(watch, same, same, Buffer.alloc(0)),
    );
    await Promise.all(streams.map((stream) => once(stream, 'metadata')));
    for (const stream of streams) stream.on('error', () => {}).pause();
    const before = await server.memoryMib();
    for (let change = 0; change < 1000; change++) await setNote(server, `${change}`.padEnd(30_000, 'x'));
    const growth = (await server.memoryMib()) - before;
    t.diagnostic(`50 gRPC watchers that never read: ${growth.toFixed(1)} MiB more`);
    assert.ok(growth < maxGrowthMib, `${growth} MiB more`);
    for (const stream of streams) stream.cancel();
  });

  test('while a client asks without end and never reads an answer', async (t) => {
    const server = await SdkProcess.start(t);
    await setNote(server, 'x'.repeat(200_000));
    const before = await server.memoryMib();
    const socket = (await server.connect(t)).pause();
    // 5,000 answers of 200 KB would be 1 GB.
    for (let asked = 0; asked < 5000; asked++) socket.write('GET /gameserver HTTP/1.1\r\nHost: x\r\n\r\n');
    for (let call = 0; call < 50; call++) assert.equal((await server.call('POST', '/health', '{}')).status, 200);
    const growth = (await server.memoryMib()) - before;
    t.diagnostic(`a client that never reads: ${growth.toFixed(1)} MiB more`);
    assert.ok(growth < maxGrowthMib, `${growth} MiB more`);
  });

  test('while bodies of 10 MB come in, each refused with its reason', async (t) => {
    const server = await SdkProcess.start(t);
    const before = await server.memoryMib();
    const body = Buffer.alloc(10_000_000, 'x');
    const answers = await Promise.all(Array.from({ length: 20 }, () => server.call('PUT', '/metadata/label', body)));
    for (const answer of answers) {
      assert.equal(answer.status, 413);
      assert.deepEqual(JSON.parse(answer.body), {
        code: 8,
        message: 'the body is longer than 524288 bytes',
        details: [],
      });
    }
    const growth = (await server.memoryMib()) - before;
    t.diagnostic(`20 bodies of 10 MB: ${growth.toFixed(1)} MiB more`);
    assert.ok(growth < maxGrowthMib, `${growth} MiB more`);
  });

  test('while chunks without a length never end', async (t) => {
    const server = await SdkProcess.start(t);
    const socket = await server.connect(t);
    const answer = hears(socket, 'HTTP/1.1 413 ');
    socket.write('POST /ready HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    let isAnswered = false;
    void answer.then(() => {
      isAnswered = true;
    });
    while (!isAnswered) if (!socket.write(chunk)) await Promise.race([once(socket, 'drain'), answer]);
  });

  test('while headers trickle in, and while nothing comes at all: both are closed in time', async (t) => {
    const server = await SdkProcess.start(t);
    const loris = await server.connect(t);
    const mute = await server.connect(t);
    const grpcMute = await server.connect(t, server.grpcPort);
    const drip = setInterval(() => loris.write('x'), 200);
    t.after(() => clearInterval(drip));
    loris.write('GET /gameserver HTTP/1.1\r\nX-Slow: ');
    assert.match(await readToEnd(loris), /^HTTP\/1\.1 408 /);
    await Promise.all([mute, grpcMute].map((socket) => socket.closed || once(socket.resume(), 'close')));
    assert.equal((await server.call('GET', '/gameserver')).status, 200);
  });

  test('while connections are opened and dropped half way', async (t) => {
    const server = await SdkProcess.start(t);
    for (const beginning of [
      '',
      'GET ',
      'POST /ready HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"a',
      watchRequest,
    ])
      for (const port of [server.httpPort, server.grpcPort]) {
        const sockets = await Promise.all(Array.from({ length: 50 }, () => server.connect(t, port)));
        for (const socket of sockets) socket.write(beginning, () => socket.resetAndDestroy());
      }
    assert.equal((await server.call('GET', '/gameserver')).status, 200);
  });

  test('while nonsense comes in, each answered by what is wrong with it', async (t) => {
    const server = await SdkProcess.start(t);
    for (const [method, path, body, code, text] of [
      ['POST', '/ready', '{bad', 400, '{"code":3,"message":"the body is not JSON","details":[]}'],
      ['POST', '/ready', '[1]', 400, '{"code":3,"message":"the body is not a JSON object","details":[]}'],
      ['POST', '/reserve', '{"seconds":"x"}', 400, 'invalid value for field seconds'],
      ['POST', '/health', '', 400, ''],
      ['DELETE', '/ready', '', 501, '{"code":12,"message":"Method Not Allowed","details":[]}'],
      ['GET', '/admin', '', 404, '{"code":5,"message":"Not Found","details":[]}'],
      ['PATCH', '/v1beta1/counters/rooms', '{}', 500, 'Malformed CounterUpdateRequest'],
    ] as const) {
      const answer = await server.call(method, path, body);
      assert.equal(answer.status, code, `${method} ${path} ${body}`);
      assert.ok(answer.body.includes(text), answer.body);
    }
    for (const [sent, expected] of [
      ['\u0016\u0003\u0001 TLS', /^HTTP\/1\.1 400 /],
      [`GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
      ['GET /ready HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', /^HTTP\/1\.1 501 /],
      [
        'GET /watch/gameserver HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
        /^HTTP\/1\.1 4\d\d /,
      ],
    ] as const) {
      const socket = await server.connect(t);
      socket.end(sent);
      assert.match(await readToEnd(socket), expected);
    }
  });

  test('while clients offer protocols that it does not speak: their calls are answered as if they had not', async (t) => {
    const server = await SdkProcess.start(t);
    const offers = [
      // What Java's HttpClient sends on a plain connection unless it is told otherwise, and curl with --http2.
      'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n',
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eDogeDogeDogeDogeDog\r\n',
      'Connection: upgrade\r\nUpgrade: TLS/1.2\r\n',
    ];
    for (const offer of offers) {
      const socket = await server.connect(t);
      const isAnswered = hears(socket, '\r\n\r\n{}');
      socket.write(`POST /ready HTTP/1.1\r\nHost: x\r\n${offer}Content-Length: 2\r\n\r\n{}`);
      await isAnswered;
      // The connection stays what it is: the next call on it is heard as well.
      const isReady = hears(socket, '"state":"Ready"');
      socket.write(`GET /gameserver HTTP/1.1\r\nHost: x\r\n${offer}\r\n`);
      await isReady;
    }
  });

  test('while gRPC gets messages that are too long, unknown methods and garbage', async (t) => {
    const server = await SdkProcess.start(t);
    const client = new Client(`127.0.0.1:${server.grpcPort}`, credentials.createInsecure());
    t.after(() => client.close());
    const call = (path: string, message: Buffer) =>
      new Promise<number | undefined>((resolve) =>
        client.makeUnaryRequest(
          path,
          (value: Buffer) => value,
          (value) => value,
          message,
          (error) => resolve(error?.code),
        ),
      );
    assert.equal(await call('/agones.dev.sdk.SDK/SetLabel', Buffer.alloc(1_000_000)), status.RESOURCE_EXHAUSTED);
    assert.equal(await call('/agones.dev.sdk.SDK/Nothing', Buffer.alloc(0)), status.UNIMPLEMENTED);
    assert.equal(await call('/agones.dev.sdk.SDK/SetLabel', Buffer.from([255, 255, 255])), status.INTERNAL);
    const socket = await server.connect(t, server.grpcPort);
    socket.write('this is not HTTP/2\r\n\r\n');
    await readToEnd(socket);
    assert.equal(await call('/agones.dev.sdk.SDK/Ready', Buffer.alloc(0)), undefined);
  });
});

/** Resolves once the watcher has read this text. */
async function hears(watcher: Socket, text: string): Promise<void> {
  let tail = '';
  watcher.on('data', (chunk: Buffer) => {
    tail = (tail + chunk.toString('latin1')).slice(-100_000);
  });
  await eventually(`a watcher hears ${text}`, () => tail.includes(text));
}
