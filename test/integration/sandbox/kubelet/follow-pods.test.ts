import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { KubeClient } from '../../../../sandbox/kube-client/kube-client.ts';
import { followPods } from '../../../../sandbox/kubelet/api/follow-pods.ts';
import { until } from './cluster.ts';

type Answer = { status?: number; lines: unknown[] };

/** Answers each call with the next of the script, then hangs; says what was asked and what was learnt. */
async function follow(
  script: readonly Answer[],
  expected: readonly string[],
): Promise<{ asked: string[]; learnt: string[] }> {
  const asked: string[] = [];
  const learnt: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    const isWatch = url.searchParams.has('watch');
    asked.push(isWatch ? `watch ${url.searchParams.get('resourceVersion')}` : 'list');
    assert.equal(url.searchParams.get('fieldSelector'), 'spec.nodeName=n1');
    const answer = script[asked.length - 1];
    if (answer === undefined) return;
    response.writeHead(answer.status ?? 200);
    response.end(answer.lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const kube = new KubeClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  const end = new AbortController();
  const listener: Parameters<typeof followPods>[2] = {
    listed: (pods) => learnt.push(`listed ${pods.map(({ metadata }) => metadata.name).join()}`),
    changed: (pod) => learnt.push(`changed ${pod.metadata.name}`),
    removed: (pod) => learnt.push(`removed ${pod.metadata.name}`),
    reachable: (isReachable) => learnt.push(isReachable ? 'reachable' : 'unreachable'),
  };
  const following = followPods(kube, 'n1', listener, end.signal);
  try {
    await until('the whole script', () => asked.length > script.length || undefined);
  } finally {
    end.abort();
    await following;
    kube.close();
    server.closeAllConnections();
    server.close();
  }
  assert.deepEqual(asked, expected);
  return { asked, learnt };
}

const pod = (name: string, resourceVersion: string): object => ({ metadata: { name, resourceVersion } });
const list = (resourceVersion: string, ...names: string[]): Answer => ({
  lines: [{ metadata: { resourceVersion }, items: names.map((name) => pod(name, '1')) }],
});
const expired = { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } };

describe('following the pods of a node', { concurrency: 4 }, () => {
  test('a watch that ends resumes from its last event, and from a bookmark', async () => {
    const script = [
      list('10', 'a'),
      {
        lines: [
          { type: 'ADDED', object: pod('b', '11') },
          { type: 'DELETED', object: pod('a', '12') },
        ],
      },
      { lines: [{ type: 'BOOKMARK', object: { metadata: { resourceVersion: '40' } } }] },
    ];
    const { learnt } = await follow(script, ['list', 'watch 10', 'watch 12', 'watch 40']);
    assert.deepEqual(learnt, ['reachable', 'listed a', 'changed b', 'removed a']);
  });

  test('a watch whose place in the history is gone begins again with a list', async () => {
    const script = [list('10', 'a'), { lines: [expired] }, list('90', 'b'), { lines: [] }];
    const { learnt } = await follow(script, ['list', 'watch 10', 'list', 'watch 90', 'watch 90']);
    assert.deepEqual(learnt, ['reachable', 'listed a', 'listed b']);
  });

  test('a watch that is refused begins again with a list, and the trouble is told once', async () => {
    const script = [
      list('10', 'a'),
      { status: 410, lines: [{}] },
      { status: 503, lines: ['overloaded'] },
      { lines: ['no list at all'] },
      list('11', 'a'),
    ];
    const { learnt } = await follow(script, ['list', 'watch 10', 'list', 'list', 'list', 'watch 11']);
    assert.deepEqual(learnt, ['reachable', 'listed a', 'unreachable', 'reachable', 'listed a']);
  });
});
