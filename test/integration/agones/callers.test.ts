import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { suite, type TestContext, test } from 'node:test';
import { Client, credentials, status } from '@grpc/grpc-js';
import { WebSocket } from 'ws';
import { systemClock } from '../../../shared/clock.ts';
import { silentLog } from '../../../shared/log.ts';
import { OwnCallers } from '../../../wrapper/agones/callers/caller-check.ts';
import { WrapperProcess } from '../wrapper/wrapper-process.ts';
import { callOn } from './sdk-process.ts';

/** A game that calls from a grandchild that has left its group and session, as a launcher's real game may. */
const launched = [
  'sh',
  '-c',
  'setsid "$0" -e "$1" & wait',
  process.execPath,
  `fetch('http://localhost:' + process.env.AGONES_SDK_HTTP_PORT + '/ready', { method: 'POST', body: '{}' })
    .then((response) => { console.log('answered', response.status); setTimeout(() => {}, 30_000); })`,
];

async function ports(wrapper: WrapperProcess): Promise<{ http: number; grpc: number }> {
  const line = await wrapper.said('SDK server started');
  return { http: Number(line['AGONES_SDK_HTTP_PORT']), grpc: Number(line['AGONES_SDK_GRPC_PORT']) };
}

function grpcReady(t: { after(act: () => void): void }, port: number): Promise<number | undefined> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  t.after(() => client.close());
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  const same = (value: Buffer) => value;
  client.makeUnaryRequest('/agones.dev.sdk.SDK/Ready', same, same, Buffer.alloc(0), (error) => resolve(error?.code));
  return promise;
}

suite('With the network of its host', () => {
  test('a game’s own processes are heard and strangers are refused, by each way in', async (t) => {
    const wrapper = new WrapperProcess(t, ['--ready', 'sdk'], launched);
    const { http, grpc } = await ports(wrapper);
    await wrapper.printed(/^answered 200$/);
    await wrapper.said('Game ready');
    const refused = await callOn(http, 'POST', '/shutdown', '{}');
    assert.equal(refused.status, 403);
    assert.equal((JSON.parse(refused.body) as { code: number }).code, 7);
    assert.equal(await grpcReady(t, grpc), status.PERMISSION_DENIED);
    const socket = new WebSocket(`ws://127.0.0.1:${http}/watch/gameserver`);
    const [error] = (await once(socket, 'error')) as [Error];
    assert.match(error.message, /403/);
    assert.equal((await callOn(http, 'GET', '/watch/gameserver')).status, 403);
    await wrapper.said('SDK calls refused: not from the game');
    assert.ok(!wrapper.hasSaid('Game told'), 'a stranger has ended the game');
    wrapper.signal('SIGTERM');
    await wrapper.status();
  });

  test('strangers are heard where the settings say so', async (t) => {
    const wrapper = new WrapperProcess(t, ['--ready', 'sdk', '--sdk-open'], ['sleep', '600']);
    const { http, grpc } = await ports(wrapper);
    assert.equal((await callOn(http, 'POST', '/ready', '{}')).status, 200);
    assert.equal(await grpcReady(t, grpc), undefined);
    await wrapper.said('Game ready');
  });
});

suite('To tell whose a connection is', () => {
  /** Both ends of connections to ourselves; only the other side of the verdict matters here. */
  async function connections(t: { after(act: () => void): void }, count: number) {
    const server = createServer();
    server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 });
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const accepted: Socket[] = [];
    server.on('connection', (socket) => accepted.push(socket));
    const clients = Array.from({ length: count }, () => connect(port, '127.0.0.1'));
    await Promise.all(clients.map((client) => once(client, 'connect')));
    while (accepted.length < count) await once(server, 'connection');
    t.after(() => {
      for (const socket of [...clients, ...accepted]) socket.destroy();
      server.close();
    });
    return accepted.map(({ remotePort = 0 }) => ({ address: '127.0.0.1', port: remotePort, localPort: port }));
  }

  function check(pids: readonly number[]): OwnCallers {
    const callers = new OwnCallers({ clock: systemClock, log: silentLog, signal: new AbortController().signal });
    callers.supervise({ processes: () => pids });
    return callers;
  }

  /** How often the kernel's table of connections is read, which is most of what a look-up costs. */
  function countReads(t: TestContext): () => number {
    const open = t.mock.method(fs, 'open');
    syncBuiltinESMExports();
    t.after(() => {
      open.mock.restore();
      syncBuiltinESMExports();
    });
    return () => open.mock.calls.filter(({ arguments: [path] }) => String(path).startsWith('/proc/net/tcp')).length;
  }

  test('reads the table once for one connection alone, and once for a burst of 500', async (t) => {
    const [first, ...others] = await connections(t, 500);
    assert.ok(first);
    const reads = countReads(t);
    const callers = check([process.pid]);
    let began = performance.now();
    assert.equal(await callers.isOwn(first), true);
    assert.equal(reads(), 1);
    t.diagnostic(`one alone, with the first look at the processes: ${(performance.now() - began).toFixed(2)} ms`);
    began = performance.now();
    const verdicts = await Promise.all(others.map((peer) => callers.isOwn(peer)));
    t.diagnostic(`in a burst: ${((performance.now() - began) / others.length).toFixed(3)} ms each`);
    assert.deepEqual([...new Set(verdicts)], [true]);
    assert.equal(reads(), 2);
  });

  test('needs no search where the process is known, and no more than four searches a second for strangers', async (t) => {
    const peers = await connections(t, 6);
    let searches = 0;
    const callers = new OwnCallers({ clock: systemClock, log: silentLog, signal: new AbortController().signal });
    callers.supervise({
      processes: () => {
        searches++;
        return [1];
      },
    });
    const began = performance.now();
    for (const peer of peers.slice(0, 4)) assert.equal(await callers.isOwn(peer), false);
    assert.equal(searches, 4);
    assert.ok(performance.now() - began >= 3 * 240, 'strangers make it search without a pause');
    const known = check([process.pid]);
    const [, , , , first, second] = peers;
    assert.ok(first && second);
    assert.equal(await known.isOwn(first), true);
    assert.equal(await known.isOwn(second), true);
  });

  test('waits for the game where a call comes before it has started, and refuses one that is gone', async (t) => {
    const [peer] = await connections(t, 1);
    assert.ok(peer);
    const callers = new OwnCallers({ clock: systemClock, log: silentLog, signal: new AbortController().signal });
    const verdict = callers.isOwn(peer);
    callers.supervise({ processes: () => [process.pid] });
    assert.equal(await verdict, true);
    assert.equal(await callers.isOwn({ ...peer, port: 1 }), false);
  });
});
