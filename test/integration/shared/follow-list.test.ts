import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { fixedCredentials } from '../../../sandbox/kube-client/kube-client.ts';
import type { Clock } from '../../../shared/clock.ts';
import { FollowedList } from '../../../shared/kubernetes/follow-list.ts';
import { KubeConnection } from '../../../shared/kubernetes/kube-connection.ts';
import type { Log } from '../../../shared/log.ts';
import { eventually } from '../agent/scene/eventually.ts';

/** What the server answers to one call; `open`: it leaves a watch open behind its lines. */
interface Answer {
  readonly status?: number;
  readonly lines: readonly unknown[];
  readonly open?: boolean;
}

interface Pod {
  readonly metadata: { readonly name: string };
}

const pod = (name: string, resourceVersion: string) => ({ metadata: { name, uid: `uid-${name}`, resourceVersion } });
const list = (resourceVersion: string, ...names: string[]): Answer => ({
  lines: [{ metadata: { resourceVersion }, items: names.map((name) => pod(name, '1')) }],
});
const expired = { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } };
const longRunMs = 10_000;

/** Pauses that are over at once, and are written down; what runs for longer, never ends. */
class HurriedClock implements Clock {
  readonly pausesMs: number[] = [];

  now(): number {
    return 0;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms >= longRunMs) await once(signal ?? new AbortController().signal, 'abort');
    else this.pausesMs.push(ms);
    signal?.throwIfAborted();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A list of which the server answers by a script, and then by `afterwards`. */
async function following(t: TestContext, script: readonly Answer[], afterwards: Answer = { lines: [], open: true }) {
  const asked: string[] = [];
  const open: ServerResponse[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    const isWatch = url.searchParams.has('watch');
    const answer = script[asked.length] ?? (isWatch ? afterwards : list('1000'));
    asked.push(isWatch ? `watch ${url.searchParams.get('resourceVersion')}` : 'list');
    response.writeHead(answer.status ?? 200);
    response.flushHeaders();
    for (const line of answer.lines) response.write(typeof line === 'string' ? line : `${JSON.stringify(line)}\n`);
    if (answer.open === true) open.push(response);
    else response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const clock = new HurriedClock();
  const said: string[] = [];
  const say = (fields: object, message: string) =>
    void said.push(`${message}: ${(fields as { err?: string }).err ?? ''}`);
  const log: Log = { debug: say, info: say, warn: say, error: say };
  const shown: string[] = [];
  const connection = new KubeConnection(fixedCredentials(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  const pods = new FollowedList<Pod>({
    connection,
    path: '/api/v1/pods?fieldSelector=spec.nodeName%3Dn1',
    read: (object) => object as Pod,
    onItems: (items) => shown.push([...items.values()].map(({ metadata }) => metadata.name).join()),
    clock,
    log,
    random: () => 0.5,
  });
  const stop = new AbortController();
  const running = pods.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await running;
    connection.close();
    server.closeAllConnections();
    server.close();
  });
  const has = (count: number) => eventually(`${count} calls`, () => asked.length >= count);
  return { asked, open, clock, said, shown, pods, stop, running, has };
}

/** What a server that never brings anything may be asked: 200 ms at first, 5 s in the end. */
function assertBackoff(pausesMs: readonly number[]): void {
  for (const [index, ms] of pausesMs.entries())
    if (index > 0) assert.ok(ms >= (pausesMs[index - 1] ?? 0), `pauses grow: ${pausesMs.join()}`);
  assert.equal(pausesMs.at(-1), 3750, 'up to 5 s');
}

describe('a followed list', { concurrency: 4 }, () => {
  test('resumes an ended watch from its last event, and from a bookmark', async (t) => {
    const here = await following(t, [
      list('10', 'a'),
      {
        lines: [
          { type: 'ADDED', object: pod('b', '11') },
          { type: 'DELETED', object: pod('a', '12') },
        ],
      },
      { lines: [{ type: 'BOOKMARK', object: { metadata: { resourceVersion: '40' } } }] },
    ]);
    await here.has(4);
    assert.deepEqual(here.asked, ['list', 'watch 10', 'watch 12', 'watch 40']);
    assert.deepEqual(here.shown, ['a', 'a,b', 'b']);
    assert.deepEqual(here.clock.pausesMs, [], 'what brings something is followed at once');
  });

  test('lists again where the place in the history is gone', async (t) => {
    const here = await following(t, [list('10', 'a'), { lines: [expired] }, list('90', 'b')]);
    await here.has(4);
    assert.deepEqual(here.asked, ['list', 'watch 10', 'list', 'watch 90']);
    assert.deepEqual(here.shown, ['a', 'b']);
    assert.deepEqual(here.said, []);
  });

  test('takes what is no list for no list, and says each cause once', async (t) => {
    const here = await following(t, [
      list('10', 'a'),
      { status: 410, lines: [{}] },
      { status: 503, lines: ['overloaded'] },
      { lines: ['no list at all'] },
      { status: 503, lines: ['overloaded'] },
      { lines: [{ items: null, metadata: { resourceVersion: '11' } }] },
      list('11', 'b'),
      { lines: [{ type: 'ADDED', object: pod('c', '12') }], open: true },
    ]);
    await eventually('c is shown', () => here.shown.includes('b,c'));
    assert.deepEqual(here.shown, ['a', 'b', 'b,c']);
    assert.deepEqual(here.said, [
      'Kubernetes list or watch failed: Cannot list /api/v1/pods?fieldSelector=spec.nodeName%3Dn1: 503: overloaded',
      'Kubernetes list or watch failed: Cannot list /api/v1/pods?fieldSelector=spec.nodeName%3Dn1: the response is not a list',
      'Kubernetes watch recovered: ',
    ]);
  });

  test('asks a server that is down after the first list ever more seldom, and says so once', async (t) => {
    const here = await following(t, [list('10', 'a')], { status: 503, lines: ['down'] });
    await here.has(20);
    assertBackoff(here.clock.pausesMs);
    assert.deepEqual(here.said, ['Kubernetes list or watch failed: Cannot watch /api/v1/pods: 503: down']);
  });

  test('asks a server that ends each watch at once ever more seldom', async (t) => {
    const here = await following(t, [list('10', 'a')], { lines: [] });
    await here.has(20);
    assertBackoff(here.clock.pausesMs);
  });

  test('asks a server that ends each watch after the same bookmark ever more seldom', async (t) => {
    const bookmark = { type: 'BOOKMARK', object: { metadata: { resourceVersion: '10' } } };
    const here = await following(t, [list('10', 'a')], { lines: [bookmark] });
    await here.has(20);
    assertBackoff(here.clock.pausesMs);
  });

  test('lists again where a watch fails for ever', async (t) => {
    const error = { type: 'ERROR', object: { kind: 'Status', code: 500, message: 'etcd has a bad day' } };
    const here = await following(t, [list('10', 'a')], { lines: [error] });
    await here.has(20);
    assert.ok(here.asked.filter((call) => call === 'list').length > 2, here.asked.join());
    assertBackoff(here.clock.pausesMs);
  });

  test('ends with its signal, in the middle of a watch', async (t) => {
    const here = await following(t, [list('10', 'a')]);
    await here.has(2);
    here.stop.abort();
    await here.running;
  });

  test('shows on demand what there is, and watches on from there, where the watch says nothing', async (t) => {
    const here = await following(t, [list('10', 'a'), { lines: [], open: true }, list('50', 'a', 'b')]);
    await here.has(2);
    const found = await here.pods.listNow(new AbortController().signal);
    assert.deepEqual([...found.keys()], ['uid-a', 'uid-b']);
    assert.deepEqual(here.shown, ['a', 'a,b']);
    await here.has(4);
    assert.deepEqual(here.asked, ['list', 'watch 10', 'list', 'watch 50']);
  });

  test('leaves a watch alone that shows the same as a list on demand', async (t) => {
    const here = await following(t, [list('10', 'a'), { lines: [], open: true }, list('50', 'a')]);
    await here.has(2);
    await here.pods.listNow(new AbortController().signal);
    here.open[0]?.write(`${JSON.stringify({ type: 'ADDED', object: pod('b', '60') })}\n`);
    await eventually('the watch goes on', () => here.shown.at(-1) === 'a,b');
    assert.deepEqual(here.asked, ['list', 'watch 10', 'list']);
  });

  test('does not go back to a list that is older than its watch', async (t) => {
    const here = await following(t, [
      list('10', 'a'),
      { lines: [{ type: 'ADDED', object: pod('b', '60') }], open: true },
      list('50', 'a'),
    ]);
    await eventually('b is shown', () => here.shown.at(-1) === 'a,b');
    await here.pods.listNow(new AbortController().signal);
    assert.deepEqual(here.shown, ['a', 'a,b']);
    assert.deepEqual(here.asked, ['list', 'watch 10', 'list']);
  });

  test('opens another watch from the same place when it is doubted', async (t) => {
    const here = await following(t, [list('10', 'a')]);
    await here.has(2);
    here.pods.doubt();
    await here.has(3);
    assert.deepEqual(here.asked, ['list', 'watch 10', 'watch 10']);
  });
});
