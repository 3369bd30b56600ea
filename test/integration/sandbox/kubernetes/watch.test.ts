import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { describe, it } from 'node:test';
import { startApiServer } from '../../../../sandbox/kubernetes/api-server.ts';
import type { Node } from '../../../../sandbox/kubernetes/objects.ts';
import { nodes, pods } from '../../../../sandbox/kubernetes/registry/table.ts';
import { createNamespace, createNode, createPod, eventually, send, watch } from './double.ts';

const idle = { controllers: [] };

/** A watch that nobody reads until it is told to; then it tells how many bytes came before the end. */
async function unreadWatch(url: string): Promise<{ readToTheEnd(): Promise<number> }> {
  const call = request(url);
  call.on('error', () => undefined);
  call.end();
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  response.pause();
  const readToTheEnd = async (): Promise<number> => {
    let bytes = 0;
    response.on('error', () => undefined);
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    response.resume();
    await eventually('the server has ended it', () => response.closed).finally(() => response.destroy());
    return bytes;
  };
  return { readToTheEnd };
}

describe('A watch', () => {
  it('ends its initial events with a bookmark that can be resumed from', async () => {
    await using server = await startApiServer(idle);
    for (const name of ['a', 'b']) createNode(server, name);
    const first = await watch(
      server,
      '/api/v1/nodes?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan',
    );
    await eventually('the initial events', () => first.events.length === 3);
    assert.deepEqual(
      first.events.map(({ type }) => type),
      ['ADDED', 'ADDED', 'BOOKMARK'],
    );
    const { metadata } = first.events[2]?.object ?? { metadata: {} };
    assert.deepEqual(metadata['annotations'], { 'k8s.io/initial-events-end': 'true' });
    createNode(server, 'c');
    const second = await watch(server, `/api/v1/nodes?watch=1&resourceVersion=${String(metadata['resourceVersion'])}`);
    await eventually('what came after the bookmark', () => second.events.length === 1);
    assert.equal(second.events[0]?.object.metadata['name'], 'c');
    first.close();
    second.close();
  });

  it('sends bookmarks as often as it was told, each newer than what it had sent', async () => {
    await using server = await startApiServer({ ...idle, bookmarkPeriodMs: 10 });
    const stream = await watch(server, '/api/v1/nodes?watch=1&allowWatchBookmarks=true&resourceVersion=1');
    createPod(server, 'a');
    const current = String(server.store.resourceVersion);
    await eventually('a bookmark of another resource', () =>
      stream.events.some(({ type, object }) => type === 'BOOKMARK' && object.metadata['resourceVersion'] === current),
    );
    stream.close();
  });

  it('is told 410 and ended when it resumes from what is forgotten', async () => {
    await using server = await startApiServer(idle);
    createNode(server, 'a');
    assert.equal((await send(server, 'DELETE', '/sandbox/history')).status, 204);
    const stream = await watch(server, '/api/v1/nodes?watch=1&resourceVersion=2');
    await eventually('the end', () => stream.end);
    assert.equal(stream.status, 200);
    assert.deepEqual(
      stream.events.map(({ type, object }) => [type, object['code'], object['reason']]),
      [['ERROR', 410, 'Expired']],
    );
  });

  it('loses nothing between a list and itself under writes that never pause', async () => {
    await using server = await startApiServer(idle);
    const writes = 300;
    for (let count = 0; count < 20; count++) createNode(server, `n${count}`);
    const list = await send(server, 'GET', '/api/v1/nodes');
    const { resourceVersion } = list.body['metadata'] as { resourceVersion: string };
    const touch = async (count: number): Promise<void> => {
      const body = { metadata: { annotations: { count: String(count) } } };
      await send(server, 'PATCH', `/api/v1/nodes/n${count % 20}`, {
        body,
        contentType: 'application/merge-patch+json',
      });
    };
    const half = Array.from({ length: writes / 2 }, (_, count) => touch(count));
    const stream = await watch(server, `/api/v1/nodes?watch=1&resourceVersion=${resourceVersion}`);
    await Promise.all([...half, ...Array.from({ length: writes / 2 }, (_, count) => touch(count + writes / 2))]);
    await eventually('all events', () => stream.events.length >= writes);
    const versions = stream.events.map(({ object }) => Number(object.metadata['resourceVersion']));
    assert.deepEqual(
      versions,
      versions.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(versions).size, writes);
    stream.close();
  });

  it('is cut off when its reader is too slow, and nobody else is', async () => {
    await using server = await startApiServer({ ...idle, watchBufferBytes: 1024 * 1024 });
    const node = createNode(server, 'a');
    const path = `/api/v1/nodes?watch=1&resourceVersion=${node.metadata.resourceVersion}`;
    const slow = await unreadWatch(`${server.url}${path}`);
    const quick = await watch(server, path);
    // Far more than the kernel keeps for both ends of a connection, which comes on top of the server's own bound.
    const writes = 120;
    for (let written = 1; written <= writes; written++) {
      const annotations = { filler: 'x'.repeat(250_000), written: String(written) };
      const change = (current: Node): Node => ({ ...current, metadata: { ...current.metadata, annotations } });
      server.registry.update(nodes, undefined, 'a', change);
      await eventually('the quick one has it', () => quick.events.length === written);
    }
    assert.ok((await slow.readToTheEnd()) < writes * 250_000, 'the slow one did not get all of it');
    assert.equal(quick.end, undefined);
    quick.close();
  });

  it('from a version of the future is silent until that is reached', async () => {
    await using server = await startApiServer(idle);
    const future = server.store.resourceVersion + 3;
    const patient = await watch(server, `/api/v1/nodes?watch=1&resourceVersion=${future}`);
    const other = await watch(server, '/api/v1/nodes?watch=1&resourceVersion=1');
    for (const name of ['a', 'b', 'c', 'd']) createNode(server, name);
    await eventually('everything has come', () => other.events.length === 4 && patient.events.length > 0);
    assert.deepEqual(
      patient.events.map(({ object }) => object.metadata['name']),
      ['d'],
    );
    patient.close();
    other.close();
  });

  it('ends cleanly when the server closes', async () => {
    const server = await startApiServer(idle);
    const stream = await watch(server, '/api/v1/nodes?watch=1');
    await server.close();
    await eventually('the end', () => stream.end);
    assert.equal(stream.events.length, 0);
  });
});

describe('A list in pages', () => {
  it('shows one moment, whatever is written between its pages', async () => {
    await using server = await startApiServer(idle);
    for (const name of ['a', 'c', 'e']) createPod(server, name);
    const names: string[] = [];
    let token = '';
    do {
      const { body } = await send(server, 'GET', `/api/v1/namespaces/default/pods?limit=1&continue=${token}`);
      names.push(...(body['items'] as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name));
      token = (body['metadata'] as { continue?: string }).continue ?? '';
      if (names.length === 1) {
        createPod(server, 'd');
        server.registry.delete(pods, 'default', 'e');
      }
    } while (token !== '');
    assert.deepEqual(names, ['a', 'c', 'e']);
  });

  it('is 410 when its moment is forgotten, with a token to go on from now', async () => {
    await using server = await startApiServer(idle);
    createNamespace(server, 'arena');
    const first = await send(server, 'GET', '/api/v1/namespaces?limit=1');
    createPod(server, 'a');
    server.store.forgetHistory();
    const { continue: token } = first.body['metadata'] as { continue: string };
    const second = await send(server, 'GET', `/api/v1/namespaces?limit=1&continue=${token}`);
    assert.equal(second.status, 410);
    const { continue: fresh } = second.body['metadata'] as { continue: string };
    assert.equal((await send(server, 'GET', `/api/v1/namespaces?limit=1&continue=${fresh}`)).status, 200);
  });
});
