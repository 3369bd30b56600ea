import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Upstream } from '../../../fanout/election/upstream.ts';
import { inventoryUpstreams } from '../../../fanout/sources/inventory-upstreams.ts';
import { namedUpstreams } from '../../../fanout/sources/named-upstreams.ts';
import type { UpstreamSource } from '../../../fanout/sources/source.ts';
import { systemClock } from '../../../shared/clock.ts';
import { programFile, startReplica, until } from './proxy-harness.ts';

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Runs a source and keeps what it reports. */
function follow(source: UpstreamSource) {
  const stopping = new AbortController();
  const reports: (readonly Upstream[])[] = [];
  const running = source.run((upstreams) => reports.push(upstreams), stopping.signal);
  return {
    reports,
    ids: () => reports.at(-1)?.map(({ id }) => id),
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

function recordingLog() {
  const lines: string[] = [];
  const at = (_: object, message: string) => void lines.push(message);
  return { lines, debug: at, info: at, warn: at, error: at };
}

test('a name that stops resolving keeps its addresses, and is logged once', async () => {
  const answers = { addresses: ['127.0.0.2', '127.0.0.3'], isFailing: false };
  const log = recordingLog();
  const resolve = async () => {
    if (answers.isFailing) throw new Error('SERVFAIL');
    return answers.addresses;
  };
  const endpoints = [
    { host: 'game.example', port: 7 },
    { host: '127.0.0.9', port: 8 },
  ];
  const following = follow(namedUpstreams({ endpoints, intervalMs: 5, clock: systemClock, log, resolve }));
  await until(() => following.ids()?.join() === '127.0.0.2:7,127.0.0.3:7,127.0.0.9:8', 'all addresses');
  answers.isFailing = true;
  const before = following.reports.length;
  await until(() => following.reports.length > before + 5, 'it is looked up again');
  assert.equal(following.ids()?.length, 3);
  assert.deepEqual(log.lines, ['Cannot resolve upstream name']);
  answers.isFailing = false;
  answers.addresses = ['127.0.0.4'];
  await until(() => following.ids()?.join() === '127.0.0.4:7,127.0.0.9:8', 'the new address');
  await following.stop();
});

test('a name whose lookup hangs delays neither other replicas nor the shutdown', async () => {
  const resolve = async (name: string) => (name === 'slow.example' ? new Promise<never>(() => {}) : ['127.0.0.2']);
  const endpoints = ['slow.example', 'quick.example', '127.0.0.9'].map((host) => ({ host, port: 7 }));
  const log = recordingLog();
  const following = follow(namedUpstreams({ endpoints, intervalMs: 5, clock: systemClock, log, resolve }));
  await until(() => following.ids()?.join() === '127.0.0.2:7,127.0.0.9:7', 'all that are known');
  assert.deepEqual(
    following.reports[0]?.map(({ id }) => id),
    ['127.0.0.9:7'],
  );
  await following.stop();
  assert.deepEqual(log.lines, []);
});

test('replicas follow the inventory, and stay while it fails in any way', async () => {
  const row = { game_server_id: 'gs-1', public_ip: '127.0.0.1', public_port: 7, status: 'ready' };
  const state = {
    answer: (response: ServerResponse) => response.end(JSON.stringify({ game_servers: [row] })) as unknown,
  };
  const server = createServer((_, response) => state.answer(response));
  const url = new URL(`${await listen(server)}/game-servers`);
  const log = recordingLog();
  const following = follow(
    inventoryUpstreams({ url, portName: 'SERVER_PORT', intervalMs: 5, clock: systemClock, log }),
  );
  await until(() => following.ids()?.join() === 'gs-1', 'the game server');
  for (const answer of [
    (response: ServerResponse) => response.writeHead(503).end('no'),
    (response: ServerResponse) => response.end('<html>'),
    (response: ServerResponse) => response.end('{"message":"hello"}'),
    (response: ServerResponse) => response.destroy(),
  ]) {
    let asked = 0;
    state.answer = (response) => {
      asked++;
      answer(response);
    };
    await until(() => asked > 3, 'it is asked again');
    assert.deepEqual(following.ids(), ['gs-1']);
  }
  // Once for each of the four causes, not for each poll.
  assert.deepEqual(log.lines, Array<string>(4).fill('Cannot read replicas from the inventory'));
  state.answer = (response) => response.end(JSON.stringify({ game_servers: [{ ...row, status: 'terminating' }] }));
  await until(() => following.reports.at(-1)?.[0]?.readiness === 'terminating', 'it is terminating');
  await following.stop();
  server.close();
  server.closeAllConnections();
});

test('replicas follow the pods of a selector through a watch, its end and a refusal', async () => {
  const replica = await startReplica('pod');
  const pod = (name: string, port: number, isReady: boolean) => ({
    metadata: {
      ...{ uid: name, name, namespace: 'arena', resourceVersion: '1' },
      annotations: { 'spotable.dev/port.SERVER_PORT': String(port) },
    },
    status: {
      podIP: '127.0.0.1',
      phase: 'Running',
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
    },
  });
  const watches: ServerResponse[] = [];
  const asked: string[] = [];
  let items = [pod('one', replica.port, false)];
  let isRefusing = true;
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.setHeader('content-type', 'application/json');
    if (isRefusing) response.writeHead(403).end('{"kind":"Status","message":"pods is forbidden"}');
    else if (request.url?.includes('watch=true')) {
      response.writeHead(200);
      response.flushHeaders();
      watches.push(response);
    } else
      response.end(JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: { resourceVersion: '1' }, items }));
  });
  const url = await listen(server);
  const folder = await mkdtemp(join(tmpdir(), 'fanout-kube-'));
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server: url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'test', user: {} }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  };
  await writeFile(join(folder, 'config'), JSON.stringify(config));
  const flags = ['--listen', '127.0.0.1:0', '--operations', '127.0.0.1:0', '--transport', 'dgram'];
  const child = spawn(
    process.execPath,
    [programFile, ...flags, '--pod-selector', 'match=m-7', '--pod-namespace', 'arena'],
    {
      env: { ...process.env, KUBECONFIG: join(folder, 'config') },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let stderr = '';
  child.stderr.on('data', (chunk) => (stderr += String(chunk)));
  const event = (type: string, object: object) => watches.at(-1)?.write(`${JSON.stringify({ type, object })}\n`);
  await until(() => stderr.includes('Kubernetes list or watch failed'), 'the refusal is said', 20_000);
  isRefusing = false;
  await until(() => watches.length === 1, 'it watches');
  assert.ok(
    asked.every((transport) => transport.includes('labelSelector=match%3Dm-7')),
    asked.join('\n'),
  );
  assert.equal(stderr.includes('Primary changed'), false, 'a pod that is not ready is no primary');
  event('MODIFIED', pod('one', replica.port, true));
  await until(() => stderr.includes('"to":"one"'), 'the ready pod is primary');
  items = [pod('one', replica.port, true), pod('two', replica.port + 1, true)];
  event('ERROR', { kind: 'Status', code: 410, reason: 'Expired' });
  await until(() => watches.length === 2, 'it lists and watches again');
  await until(() => stderr.includes('"replica":"two"'), 'what the watch missed is there');
  event('DELETED', pod('one', replica.port, true));
  await until(() => stderr.includes('"to":"two"'), 'the other pod is primary');
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  server.close();
  server.closeAllConnections();
  await rm(folder, { recursive: true });
  replica.stop();
});
