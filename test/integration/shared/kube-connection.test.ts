import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { kubeconfigOf } from '../../../sandbox/kubernetes/kubeconfig.ts';
import { KubeError } from '../../../shared/kubernetes/kube-answer.ts';
import { KubeConnection } from '../../../shared/kubernetes/kube-connection.ts';
import { KubeconfigCredentials, loadKubeconfigFile } from '../../../shared/kubernetes/kubeconfig.ts';
import { ServiceAccount } from '../../../shared/kubernetes/service-account.ts';
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts';
import { testCertificates } from '../../support/test-certificates.ts';
import { eventually } from '../agent/scene/eventually.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const answerStatus: Answer = (_request, response) => void response.end('{"kind":"Status"}');
const never = new AbortController().signal;
const { first, second } = testCertificates;

interface Scene {
  readonly proxy: FaultProxy;
  readonly connection: KubeConnection;
  readonly directory: string;
  /** `METHOD PATH TOKEN` of what the server has seen. */
  readonly seen: string[];
  get(path: string, timeoutMs?: number): ReturnType<KubeConnection['request']>;
  send(method: 'POST' | 'DELETE' | 'PATCH', path: string, timeoutMs?: number): ReturnType<KubeConnection['request']>;
}

/** A server that offers HTTP/2, behind a network that can fail, and a connection with a service account of its own. */
async function scene(t: TestContext, answer: Answer = answerStatus): Promise<Scene> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.authorization?.replace('Bearer ', '')}`);
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const target = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const proxy = await startFaultProxy({ target, offersHttp2: true });
  const directory = await mkdtemp(join(tmpdir(), 'kube-connection-'));
  await writeFile(join(directory, 'token'), 'token-1\n');
  await writeFile(join(directory, 'ca.crt'), first.cert);
  const connection = new KubeConnection(new ServiceAccount(proxy.url, directory));
  t.after(async () => {
    connection.close();
    await proxy[Symbol.asyncDispose]();
    server.closeAllConnections();
    server.close();
    await rm(directory, { recursive: true, force: true });
  });
  const limited = (timeoutMs?: number) => ({ signal: never, ...(timeoutMs !== undefined && { timeoutMs }) });
  return {
    proxy,
    connection,
    directory,
    seen,
    get: (path, timeoutMs) => connection.request({ method: 'GET', path, ...limited(timeoutMs) }),
    send: (method, path, timeoutMs) => connection.request({ method, path, body: {}, ...limited(timeoutMs) }),
  };
}

const paths = ({ proxy }: Scene) => proxy.requests.map(({ method, path }) => `${method} ${path}`);

describe('a connection to the Kubernetes API', { concurrency: 4 }, () => {
  test('speaks HTTP/1.1 to a server that offers HTTP/2, over connections that it keeps', async (t) => {
    const here = await scene(t);
    for (let call = 0; call < 20; call++) await here.get('/version');
    assert.deepEqual([...new Set(here.proxy.requests.map(({ httpVersion }) => httpVersion))], ['1.1']);
    assert.equal(here.proxy.network.accepted, 1);
  });

  test('makes another connection after a dead one has cost a call', async (t) => {
    const here = await scene(t);
    await here.get('/before');
    here.proxy.network.killExisting();
    await assert.rejects(here.send('POST', '/lost', 100), /no response within 100 ms/);
    assert.equal((await here.get('/after')).status, 200);
    assert.deepEqual(paths(here), ['GET /before', 'GET /after']);
  });

  test('repeats at once on a new connection what a kept one does not answer, where that does no harm', async (t) => {
    const here = await scene(t);
    await here.get('/before');
    here.proxy.network.killExisting();
    assert.equal((await here.get('/read')).status, 200);
    here.proxy.network.killExisting();
    const request = { method: 'DELETE', path: '/pod', body: {}, isRepeatable: true, signal: never } as const;
    assert.equal((await here.connection.request(request)).status, 200);
    assert.deepEqual(paths(here), ['GET /before', 'GET /read', 'DELETE /pod']);
  });

  test('takes a server for slow, and not its connections for dead, after one answer that took long', async (t) => {
    const here = await scene(t);
    await here.get('/quick');
    here.proxy.faults.add({ path: '/slow', fault: { kind: 'delay', delayMs: 1500 } });
    for (let call = 0; call < 3; call++) await here.get('/slow');
    assert.equal(here.seen.length, 4);
    assert.equal(here.proxy.network.accepted, 2, 'only the first slow call was repeated');
  });

  test('sends nothing of what was given up while the network was away', async (t) => {
    const here = await scene(t);
    await Promise.all(['/a', '/b', '/c'].map((path) => here.get(path)));
    here.proxy.network.silence();
    const stale = ['/x', '/y', '/z', '/w'].map((path) => here.send('DELETE', path, 200));
    for (const call of stale) await assert.rejects(call, KubeError);
    await eventually('their connections are given up as well', () => here.proxy.network.connections.length === 0);
    here.proxy.network.restore();
    await here.get('/fresh');
    assert.deepEqual(paths(here).toSorted(), ['GET /a', 'GET /b', 'GET /c', 'GET /fresh']);
  });

  test('sends nothing of what was given up while it waited for its turn', async (t) => {
    const held: ServerResponse[] = [];
    const here = await scene(t, (request, response) => {
      if (request.url?.startsWith('/held')) held.push(response);
      else answerStatus(request, response);
    });
    const calls = Array.from({ length: 32 }, (_, index) => here.get(`/held-${index}`, 60_000));
    await eventually('all turns are taken', () => held.length === 32);
    const abort = new AbortController();
    const unwanted = here.connection.request({ method: 'DELETE', path: '/unwanted', signal: abort.signal });
    await assert.rejects(here.get('/late', 50), /no response within 50 ms/);
    abort.abort(new Error('no longer wanted'));
    await assert.rejects(unwanted, /no longer wanted/);
    const crowd = Array.from({ length: 256 }, () => here.get('/crowd', 60_000));
    await assert.rejects(here.get('/one-too-many'), /More than 256 calls are waiting/);
    for (const response of held) response.end('{}');
    await Promise.all([...calls, ...crowd]);
    assert.deepEqual(
      here.seen.filter((line) => /unwanted|late|many/.test(line)),
      [],
    );
  });

  test('ends at once when its caller leaves, connection included', async (t) => {
    const here = await scene(t, () => {});
    const abort = new AbortController();
    const call = here.connection.request({ method: 'GET', path: '/hangs', signal: abort.signal });
    await eventually('the server has it', () => here.seen.length === 1);
    abort.abort(new Error('enough'));
    await assert.rejects(call, /^Error: enough$/);
    await eventually('its connection is gone', () => here.proxy.network.connections.length === 0);
  });

  test('reads the token again as soon as the server refuses it', async (t) => {
    const here = await scene(t, (request, response) => {
      const isGood = request.headers.authorization === 'Bearer token-2';
      response.writeHead(isGood ? 200 : 401).end('{"kind":"Status"}');
    });
    assert.equal((await here.get('/refused')).status, 401, 'nothing new to show');
    await writeFile(join(here.directory, 'token'), 'token-2');
    assert.equal((await here.send('PATCH', '/node')).status, 200);
    assert.deepEqual(here.seen, ['GET /refused token-1', 'PATCH /node token-1', 'PATCH /node token-2']);
  });

  test('reads the authority again as soon as the server has a certificate of another one', async (t) => {
    const here = await scene(t);
    await writeFile(join(here.directory, 'ca.crt'), second.cert);
    await assert.rejects(here.get('/unknown'), (error) => error instanceof KubeError && error.status === undefined);
    await writeFile(join(here.directory, 'ca.crt'), first.cert);
    assert.equal((await here.get('/known')).status, 200);
    assert.deepEqual(paths(here), ['GET /known']);
  });

  test('reads a kubeconfig again as well', async (t) => {
    const here = await scene(t, (request, response) => {
      const isGood = request.headers.authorization === 'Bearer new';
      response.writeHead(isGood ? 200 : 401).end('{"kind":"Status"}');
    });
    const file = join(here.directory, 'kubeconfig');
    const write = (token: string, ca: string) => writeFile(file, kubeconfigOf(here.proxy.url, { token, ca }));
    await write('old', second.cert);
    const connection = new KubeConnection(new KubeconfigCredentials(() => loadKubeconfigFile(file)));
    t.after(() => connection.close());
    const get = () => connection.request({ method: 'GET', path: '/', signal: never });
    await assert.rejects(get(), KubeError);
    await write('old', first.cert);
    assert.equal((await get()).status, 401);
    await write('new', first.cert);
    assert.equal((await get()).status, 200);
  });

  test('gives a server more time that is there and needs longer', async (t) => {
    const here = await scene(t);
    here.proxy.faults.add({ method: 'PATCH', fault: { kind: 'delay', delayMs: 8000 } });
    await assert.rejects(here.send('PATCH', '/node'), /no response within 5000 ms/);
    assert.equal((await here.send('PATCH', '/node')).status, 200);
    assert.equal((await here.get('/reads-are-fast')).status, 200);
  });

  test('gives no more time to a server that shows no sign of life', async (t) => {
    const here = await scene(t);
    await here.get('/before');
    here.proxy.network.silence();
    for (let call = 0; call < 3; call++)
      await assert.rejects(here.get('/lost'), /no (response|connection) within [2-5]000 ms/);
    here.proxy.network.restore();
    assert.equal((await here.get('/after')).status, 200);
  });

  test('yields whole lines whatever the pieces they arrive in, and drops one that never ended', async (t) => {
    const text = '{"object":"ö"}\n{"object":"b"}\n';
    const here = await scene(t, (_request, response) => {
      const bytes = Buffer.from(text);
      const send = (at: number): void => {
        if (at >= bytes.length) return void response.end('{"cut');
        response.write(bytes.subarray(at, at + 7), () => setImmediate(send, at + 7));
      };
      send(0);
    });
    const lines: string[] = [];
    for await (const line of here.connection.lines('/watch?watch=true', never)) lines.push(line);
    assert.equal(`${lines.join('\n')}\n`, text);
  });

  test('closes the connection of a watch that its reader leaves or aborts', async (t) => {
    const here = await scene(t, (_request, response) => void response.write('{}\n'));
    for await (const _line of here.connection.lines('/watch?watch=true', never)) break;
    await eventually('it is gone', () => here.proxy.network.connections.length === 0);
    const abort = new AbortController();
    const read = async () => {
      for await (const _line of here.connection.lines('/watch?watch=true', abort.signal))
        abort.abort(new Error('left'));
    };
    await assert.rejects(read(), /left/);
    await eventually('it is gone as well', () => here.proxy.network.connections.length === 0);
  });

  test('says that a watch was refused, broken off or reset', async (t) => {
    const here = await scene(t);
    const read = async () => {
      for await (const _line of here.connection.lines('/watch?watch=true', never));
    };
    here.proxy.faults.add({ times: 1, fault: { kind: 'status', status: 410, body: '{"kind":"Status","code":410}' } });
    await assert.rejects(read(), (error) => error instanceof KubeError && error.status === 410);
    here.proxy.faults.add({ times: 2, fault: { kind: 'reset' } });
    await assert.rejects(read(), /^KubeError: Cannot watch \/watch: /);
  });
});
