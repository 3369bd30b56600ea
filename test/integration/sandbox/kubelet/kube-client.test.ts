import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { fixedCredentials, isRefusedWith, KubeClient } from '../../../../sandbox/kube-client/kube-client.ts';
import { KubeError } from '../../../../shared/kubernetes/kube-answer.ts';

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
  const client = new KubeClient(
    fixedCredentials(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { token: 'secret' }),
  );
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
  for (const kind of ['strategic', 'merge'] as const) await api.client.patch(`${pods}/gs-7`, kind, { a: 1 });
  assert.deepEqual(seen, [
    'PATCH application/strategic-merge-patch+json Bearer secret {"a":1}',
    'PATCH application/merge-patch+json Bearer secret {"a":1}',
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
    assert.equal(isRefusedWith(error, 404), false);
    assert.ok(error instanceof KubeError && isRefusedWith(error, 429));
    assert.equal(error.message, `Cannot POST ${pods}/gs-7/eviction: 429 TooManyRequests: no disruptions`);
    assert.equal(error.retryAfterMs, 10_000);
    return true;
  });
});

test('a watch yields events until the server ends it', async () => {
  const text =
    '{"type":"ADDED","object":{"metadata":{"name":"ö"}}}\n{"type":"DELETED","object":{"metadata":{"name":"b"}}}\n';
  await using api = await serve((_request, response) => response.end(text));
  const seen: string[] = [];
  for await (const event of api.client.watch('/api/v1/pods')) seen.push(JSON.stringify(event));
  assert.equal(`${seen.join('\n')}\n`, text);
});
