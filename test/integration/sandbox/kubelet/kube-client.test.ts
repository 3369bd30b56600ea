import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { KubeClient } from '../../../../sandbox/kube-client/kube-client.ts';
import { isKubeError, KubeError } from '../../../../sandbox/kube-client/kube-error.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

async function serve(
  answer: Answer,
): Promise<{ client: KubeClient; server: Server; [Symbol.asyncDispose](): Promise<void> }> {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    answer(request, response, body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = new KubeClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: 'secret' });
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      client.close();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const pods = '/api/v1/namespaces/arena/pods';

test('each kind of patch goes out with its own content type and the token', async () => {
  const seen: string[] = [];
  await using api = await serve((request, response, body) => {
    seen.push(`${request.method} ${request.headers['content-type']} ${request.headers.authorization} ${body}`);
    response.end('{"metadata":{"name":"gs-7"}}');
  });
  for (const kind of ['strategic', 'merge', 'json'] as const) await api.client.patch(`${pods}/gs-7`, kind, { a: 1 });
  assert.deepEqual(seen, [
    'PATCH application/strategic-merge-patch+json Bearer secret {"a":1}',
    'PATCH application/merge-patch+json Bearer secret {"a":1}',
    'PATCH application/json-patch+json Bearer secret {"a":1}',
  ]);
});

test('an eviction and a deletion carry grace and uid where the API server looks for them', async () => {
  const seen: unknown[] = [];
  await using api = await serve((request, response, body) => {
    seen.push([request.method, request.url, JSON.parse(body)]);
    response.writeHead(201).end('{}');
  });
  await api.client.evict('arena', 'gs-7', { gracePeriodSeconds: 5, uid: 'u1' });
  await api.client.remove(`${pods}/gs-7`, { gracePeriodSeconds: 0, uid: 'u1' });
  const options = { gracePeriodSeconds: 5, preconditions: { uid: 'u1' } };
  assert.deepEqual(seen, [
    [
      'POST',
      `${pods}/gs-7/eviction`,
      {
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { name: 'gs-7', namespace: 'arena' },
        deleteOptions: options,
      },
    ],
    [
      'DELETE',
      `${pods}/gs-7`,
      { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0, preconditions: { uid: 'u1' } },
    ],
  ]);
});

test('a refusal names act, status, message, reason and when to ask again', async () => {
  await using api = await serve((_request, response) => {
    response.writeHead(429, { 'retry-after': '10' });
    response.end('{"kind":"Status","message":"no disruptions","reason":"TooManyRequests","code":429}');
  });
  await assert.rejects(api.client.evict('arena', 'gs-7'), (error) => {
    assert.ok(error instanceof KubeError);
    assert.deepEqual([isKubeError(error, 429), isKubeError(error, 404)], [true, false]);
    assert.equal(error.message, `Cannot POST ${pods}/gs-7/eviction: 429 Too Many Requests: no disruptions`);
    assert.deepEqual([error.reason, error.retryAfterSeconds], ['TooManyRequests', 10]);
    return true;
  });
});

test('a refusal that is no JSON still says its status', async () => {
  await using api = await serve((_request, response) => response.writeHead(503).end('<html>'));
  await assert.rejects(api.client.get('/api/v1/nodes/n1'), /^KubeError: Cannot GET .*n1: 503 Service Unavailable$/);
});

test('a call that is never answered ends at its time-out and says so', async () => {
  await using api = await serve(() => undefined);
  await assert.rejects(
    api.client.get('/api/v1/nodes', { timeoutMs: 50 }),
    /Cannot GET .*nodes: no answer within 50 ms/,
  );
});

test('an answer that breaks off in its body ends at the time-out too', async () => {
  await using api = await serve((_request, response) => response.write('{"metadata":'));
  await assert.rejects(api.client.get('/api/v1/nodes', { timeoutMs: 50 }), /no answer within 50 ms/);
});

test('an abort ends a call at once', async () => {
  await using api = await serve(() => undefined);
  const abort = new AbortController();
  const call = api.client.get('/api/v1/nodes', { signal: abort.signal });
  await once(api.server, 'request');
  abort.abort();
  await assert.rejects(call, /Cannot GET/);
});

test('a watch yields whole events whatever the pieces they arrive in, then ends with the server', async () => {
  const text =
    '{"type":"ADDED","object":{"metadata":{"name":"ö"}}}\n{"type":"DELETED","object":{"metadata":{"name":"b"}}}\n';
  await using api = await serve((_request, response) => {
    const bytes = Buffer.from(text);
    const send = (at: number): void => {
      if (at >= bytes.length) return void response.end('{"type":"ADDED","object":{"meta');
      response.write(bytes.subarray(at, at + 7), () => setImmediate(send, at + 7));
    };
    send(0);
  });
  const seen: string[] = [];
  for await (const event of api.client.watch('/api/v1/pods')) seen.push(JSON.stringify(event));
  assert.equal(`${seen.join('\n')}\n`, text);
});

test('an abort ends a watch without an error, and its connection with it', async () => {
  await using api = await serve((_request, response) => {
    response.write('{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"5"}}}\n');
  });
  const abort = new AbortController();
  const closed = once(api.server, 'connection').then(([socket]) => once(socket, 'close'));
  for await (const event of api.client.watch('/api/v1/pods', { signal: abort.signal, resourceVersion: '4' })) {
    assert.equal(event.type, 'BOOKMARK');
    abort.abort();
  }
  await closed;
});

test('leaving the loop closes the connection of a watch', async () => {
  await using api = await serve((_request, response) => response.write('{"type":"BOOKMARK","object":{}}\n'));
  const closed = once(api.server, 'connection').then(([socket]) => once(socket, 'close'));
  for await (const _event of api.client.watch('/api/v1/pods')) break;
  await closed;
});

test('a reset or nonsense in a watch is an error that names the watch', async () => {
  await using reset = await serve((_request, response) => {
    response.write('{"type":"BOOKMARK","object":{}}\n', () => response.socket?.resetAndDestroy());
  });
  const drain = async (client: KubeClient): Promise<void> => {
    for await (const _event of client.watch('/api/v1/pods'));
  };
  await assert.rejects(drain(reset.client), /Cannot watch \/api\/v1\/pods: /);
  await using garbage = await serve((_request, response) => response.end('<html>\n'));
  await assert.rejects(drain(garbage.client), /Cannot watch \/api\/v1\/pods: /);
});

test('only API servers of http and https are taken', () => {
  for (const url of ['ftp://127.0.0.1', 'nonsense', '']) assert.throws(() => new KubeClient({ url }), TypeError);
});
