import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { fixedCredentials, KubeClient } from '../../../../sandbox/kube-client/kube-client.ts';
import { PodReporter } from '../../../../sandbox/kubelet/api/report-pod.ts';
import type { Pod } from '../../../../sandbox/kubelet/pod/pod.ts';
import { podsPath, until } from './cluster.ts';

interface Call {
  method: string | undefined;
  path: string | undefined;
  body: Record<string, unknown>;
}

const pod: Pod = { metadata: { name: 'gs', namespace: 'arena', uid: 'mine' }, spec: { containers: [] } };

/** An API server that answers by `answer`, and a reporter for the pod. */
async function startReporter(
  answer: (call: Call, number: number) => [status: number, body: object],
): Promise<{ calls: Call[]; reporter: PodReporter } & AsyncDisposable> {
  const calls: Call[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const call = { method: request.method, path: request.url, body: text === '' ? {} : JSON.parse(text) };
    calls.push(call);
    const [status, body] = answer(call, calls.length);
    response.writeHead(status).end(JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const kube = new KubeClient(fixedCredentials(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  const end = new AbortController();
  return {
    calls,
    reporter: new PodReporter(kube, pod, end.signal),
    async [Symbol.asyncDispose]() {
      end.abort();
      kube.close();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function say({ method, path }: Call): string {
  return `${method} ${path?.replace(podsPath, '')}`;
}

describe('reporting a pod', { concurrency: 4 }, () => {
  test('an end is confirmed after the final status, with grace 0 and for this pod only', async () => {
    await using scene = await startReporter(() => [200, {}]);
    scene.reporter.report({ phase: 'Failed' });
    scene.reporter.confirm();
    await until('both calls', () => scene.calls[1]);
    assert.deepEqual(scene.calls.map(say), ['PATCH /gs/status', 'DELETE /gs']);
    const [patch, removal] = scene.calls;
    assert.deepEqual(patch?.body, { metadata: { uid: 'mine' }, status: { phase: 'Failed' } });
    assert.deepEqual([removal?.body['gracePeriodSeconds'], removal?.body['preconditions']], [0, { uid: 'mine' }]);
  });

  test('a refused status is sent again, the newest only, and nothing is confirmed before it is taken', async () => {
    await using scene = await startReporter((_call, number) => [number <= 2 ? 500 : 200, {}]);
    scene.reporter.report({ phase: 'Running' });
    await until('the first refusal', () => scene.calls[0]);
    scene.reporter.report({ phase: 'Succeeded' });
    scene.reporter.confirm();
    await until('the confirmation', () => scene.calls.find(({ method }) => method === 'DELETE'));
    assert.deepEqual(scene.calls.map(say), [
      ...['PATCH /gs/status', 'PATCH /gs/status', 'PATCH /gs/status'],
      'DELETE /gs',
    ]);
    assert.deepEqual(scene.calls[2]?.body['status'], { phase: 'Succeeded' });
  });

  test('an equal status is not sent twice', async () => {
    await using scene = await startReporter(() => [200, {}]);
    scene.reporter.report({ phase: 'Running' });
    await until('the first', () => scene.calls[0]);
    scene.reporter.report({ phase: 'Running' });
    scene.reporter.report({ phase: 'Failed' });
    await until('the second', () => scene.calls[1]);
    assert.deepEqual(
      scene.calls.map(({ body }) => body['status']),
      [{ phase: 'Running' }, { phase: 'Failed' }],
    );
  });

  test('a pod that is gone, or whose name another one has, is left in peace', async () => {
    for (const found of [
      [404, {}],
      [200, { metadata: { uid: 'another' } }],
    ] as [number, object][]) {
      await using scene = await startReporter(({ method }) => (method === 'GET' ? found : [409, {}]));
      scene.reporter.report({ phase: 'Failed' });
      scene.reporter.confirm();
      await until('the question', () => scene.calls[1]);
      scene.reporter.report({ phase: 'Succeeded' });
      assert.deepEqual(scene.calls.map(say), ['PATCH /gs/status', 'GET /gs']);
    }
  });

  test('a conflict about a pod that is still this one is tried again', async () => {
    await using scene = await startReporter(({ method }, number) => {
      if (method === 'GET') return [200, { metadata: { uid: 'mine' } }];
      return [number === 1 ? 409 : 200, {}];
    });
    scene.reporter.report({ phase: 'Running' });
    await until('the second try', () => scene.calls[2]);
    assert.deepEqual(scene.calls.map(say), ['PATCH /gs/status', 'GET /gs', 'PATCH /gs/status']);
  });
});
