import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { describe, it } from 'node:test';
import { startApiServer } from '../../../../sandbox/kubernetes/api-server.ts';
import { createNode, send } from './double.ts';

describe('The API double', () => {
  it('fails as its fault rules say, and records it', async () => {
    await using server = await startApiServer({ controllers: [] });
    createNode(server, 'n1');
    const rule = { path: '^/api/v1/nodes', times: 1, fault: { kind: 'status', status: 503 } };
    assert.equal((await send(server, 'POST', '/sandbox/faults', { body: rule })).status, 201);
    assert.equal((await send(server, 'GET', '/api/v1/nodes/n1')).status, 503);
    assert.equal((await send(server, 'GET', '/api/v1/nodes/n1')).status, 200);
    server.faults.add({ path: '^/api/v1/nodes', fault: { kind: 'reset' } });
    await assert.rejects(send(server, 'GET', '/api/v1/nodes/n1'));
    assert.deepEqual(
      server.requests.map(({ status }) => status),
      [503, 200, 0],
    );
  });

  it('refuses calls beyond its rate with 429 and Retry-After, in plain text', async () => {
    await using server = await startApiServer({ controllers: [], rateLimit: { callsPerSecond: 0.001, burst: 2 } });
    const replies = await Promise.all(Array.from({ length: 5 }, () => send(server, 'GET', '/api/v1/nodes')));
    assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 200, 429, 429, 429]);
    const refused = replies.find(({ status }) => status === 429);
    assert.equal(refused?.headers.get('retry-after'), '1');
    assert.match(refused?.headers.get('content-type') ?? '', /^text\/plain/);
  });

  it('answers no sooner than its latency', async () => {
    await using server = await startApiServer({
      controllers: [],
      latencyMs: ({ method }) => (method === 'GET' ? 80 : 0),
    });
    const startedMs = performance.now();
    await send(server, 'GET', '/api/v1/nodes');
    // A timer may fire within the millisecond before its time.
    assert.ok(performance.now() - startedMs >= 79);
  });

  it('refuses a body beyond its bound and lives on', async () => {
    await using server = await startApiServer({ controllers: [] });
    const data = { filler: 'x'.repeat(4 * 1024 * 1024) };
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'big' }, data };
    const reply = await send(server, 'POST', '/api/v1/namespaces/default/configmaps', { body }).catch(() => undefined);
    // The answer comes while the client still sends: it may see the connection close instead.
    if (reply !== undefined) assert.equal(reply.status, 413);
    assert.equal((await send(server, 'GET', '/api/v1/nodes')).status, 200);
  });

  it('lives through clients that speak no HTTP, leave early, or ask nonsense', async () => {
    await using server = await startApiServer({ controllers: [] });
    for (const words of [
      'dragons\r\n\r\n',
      'GET /api/v1/nodes?watch=1 HTTP/1.1\r\n',
      'POST /api/v1/nodes HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\n{',
    ]) {
      await new Promise<void>((resolve) => {
        const socket = createConnection(server.port, '127.0.0.1', () => socket.write(words, () => socket.destroy()));
        socket.on('close', () => resolve());
        socket.on('error', () => undefined);
      });
    }
    for (const path of [
      '/api/v1/namespaces/%zz/pods',
      '/api/v1/nodes/%00',
      '//',
      '/apis/apps',
      '/api/v1/pods?limit=-1&labelSelector=%28',
    ]) {
      assert.ok((await send(server, 'GET', path)).status < 500, path);
    }
    for (const body of [[], 3, 'text', { metadata: 3 }, { spec: { containers: 3 } }]) {
      const { status } = await send(server, 'POST', '/api/v1/namespaces/default/pods', { body });
      assert.ok(status >= 400 && status < 500, `${JSON.stringify(body)}: ${status}`);
    }
    assert.equal((await send(server, 'GET', '/readyz')).status, 200);
  });

  it('knows who calls, and what they may', async () => {
    await using server = await startApiServer({
      controllers: [],
      tokens: { 'agent-token': { name: 'agent', rules: [{ verbs: ['get'], apiGroups: [''], resources: ['nodes'] }] } },
    });
    createNode(server, 'n1');
    const ask = async (method: string, path: string, token?: string): Promise<number> =>
      (await send(server, method, path, token === undefined ? {} : { token })).status;
    assert.equal(await ask('GET', '/api/v1/nodes/n1', 'agent-token'), 200);
    assert.equal(await ask('DELETE', '/api/v1/nodes/n1', 'agent-token'), 403);
    assert.equal(await ask('GET', '/api/v1/nodes/n1', 'another-token'), 401);
    assert.equal(await ask('GET', '/api/v1/nodes/n1'), 403);
    assert.equal(await ask('GET', '/livez'), 200);
    assert.deepEqual(
      server.requests.map(({ user }) => user),
      ['agent', 'agent', '', 'system:anonymous', 'system:anonymous'],
    );
  });

  it('takes many calls at once and keeps their writes apart', async () => {
    await using server = await startApiServer({ controllers: [] });
    const base = '/api/v1/namespaces/default/configmaps';
    await send(server, 'POST', base, { body: { metadata: { name: 'counter' }, data: { count: '0' } } });
    const increment = async (): Promise<void> => {
      for (;;) {
        const { body } = await send(server, 'GET', `${base}/counter`);
        const { count } = body['data'] as { count: string };
        const next = { ...body, data: { count: String(Number(count) + 1) } };
        const { status } = await send(server, 'PUT', `${base}/counter`, { body: next });
        if (status === 200) return;
        assert.equal(status, 409);
      }
    };
    await Promise.all(Array.from({ length: 20 }, increment));
    assert.deepEqual((await send(server, 'GET', `${base}/counter`)).body['data'], { count: '20' });
  });
});
