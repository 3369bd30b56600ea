import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { V1Pod } from '@kubernetes/client-node';
import { CallLimit } from '../../../agent/drain/call-limit.ts';
import { readPod } from '../../../agent/drain/pod.ts';
import { podFilters, sparedBy } from '../../../agent/drain/pod-filters.ts';
import { selectPods } from '../../../agent/drain/select-pods.ts';
import { steadyClock } from '../../../shared/steady-clock.ts';
import { noon, pod } from './agent-values.ts';

describe('a drain', () => {
  const table = [
    ['moves an ordinary pod', pod(), undefined],
    ['moves a pod that nobody owns', pod({ controllerKind: undefined }), undefined],
    ['moves a finished pod', pod({ isFinished: true }), undefined],
    ['leaves a mirror pod to the kubelet', pod({ isMirror: true }), 'mirror'],
    [
      'leaves the pods of DaemonSets, from their ownerReferences alone',
      pod({ controllerKind: 'DaemonSet' }),
      'daemonset',
    ],
    ['never moves its own pod', pod({ name: 'me' }), 'agent'],
    ['leaves a pod that opted out', pod({ labels: { 'spotable.dev/drain': 'ignore' } }), 'opted-out'],
    ['moves a pod of the last tier', pod({ labels: { 'spotable.dev/drain': 'last' } }), undefined],
  ] as const;
  for (const [name, view, spared] of table)
    test(name, () => {
      assert.equal(sparedBy(podFilters('uid-me'), view), spared);
    });

  test('leaves alone what its namespace or its labels do not select', () => {
    const spared = (selection: ReturnType<typeof selectPods>, view = pod()) =>
      sparedBy(podFilters(undefined, selection), view);
    assert.equal(spared(selectPods(undefined, undefined)), undefined);
    assert.equal(spared(selectPods('lobby,arena', undefined)), undefined);
    assert.equal(spared(selectPods('lobby', undefined)), 'not-selected');
    assert.equal(spared(selectPods('!arena,!lobby', undefined)), 'not-selected');
    assert.equal(spared(selectPods('!lobby', 'app in (a,b),!keep')), 'not-selected');
    assert.equal(spared(selectPods('!lobby', 'app in (a,b),!keep'), pod({ labels: { app: 'b' } })), undefined);
  });

  test('takes no pod for its own while it does not know its own', () => {
    assert.equal(sparedBy(podFilters(undefined), pod()), undefined);
  });
});

describe('reading a pod', () => {
  const metadata = { namespace: 'arena', name: 'gs-1', uid: 'uid-gs-1' };

  test('takes what a drain needs from what the API server sends', () => {
    const object = {
      metadata: {
        ...metadata,
        labels: { a: 'b' },
        deletionTimestamp: '2026-04-24T12:00:30Z',
        ownerReferences: [
          { kind: 'Thing', controller: false },
          { kind: 'ReplicaSet', controller: true },
        ],
      },
      spec: { terminationGracePeriodSeconds: 0 },
      status: { phase: 'Running' },
    } as unknown as V1Pod;
    assert.deepEqual(readPod(object), pod({ labels: { a: 'b' }, gracePeriodSeconds: 0, goneByMs: noon + 30_000 }));
  });

  test('knows mirror pods, finished pods and the default grace', () => {
    const object = {
      metadata: { ...metadata, annotations: { 'kubernetes.io/config.mirror': 'x' } },
      status: { phase: 'Failed' },
    } as unknown as V1Pod;
    assert.deepEqual(readPod(object), pod({ isMirror: true, isFinished: true, controllerKind: undefined }));
  });

  test('knows a pod whose containers have all ended from one that goes on', () => {
    const view = (state: object, deletionTimestamp?: string) =>
      readPod({
        metadata: { ...metadata, ...(deletionTimestamp && { deletionTimestamp }) },
        spec: { priority: 2_000_001_000 },
        status: { phase: 'Running', containerStatuses: [{ state: { terminated: { exitCode: 0 } } }, { state }] },
      } as unknown as V1Pod);
    assert.equal(view({ terminated: { exitCode: 1 } }, '2026-04-24T12:00:30Z')?.hasEnded, true);
    assert.equal(view({ running: {} }, '2026-04-24T12:00:30Z')?.hasEnded, false);
    // Its kubelet starts it again.
    assert.equal(view({ terminated: { exitCode: 1 } })?.hasEnded, false);
    assert.equal(view({ running: {} })?.priority, 2_000_001_000);
  });

  test('is undefined for what cannot be addressed', () => {
    assert.equal(readPod({ metadata: { name: 'x' } }), undefined);
    assert.equal(readPod({}), undefined);
  });
});

describe('the limit on calls', () => {
  test('is sixteen calls under way', () => {
    const limit = new CallLimit();
    for (let begun = 0; begun < 16; begun++) {
      assert.equal(limit.free(noon), 16 - begun);
      limit.begin();
    }
    assert.equal(limit.free(noon), 0);
    limit.end();
    assert.equal(limit.free(noon), 1);
  });

  test('pauses for all pods when the server is too busy, and comes back with half as many', () => {
    const limit = new CallLimit();
    limit.busy(noon, 1000, 'a');
    limit.busy(noon, 1000, 'b');
    assert.equal(limit.free(noon + 999), 0);
    assert.equal(limit.free(noon + 1000), 8);
  });

  test('lets one pod wait that alone is refused as too much, and no other', () => {
    const limit = new CallLimit();
    for (let shed = 0; shed < 20; shed++) assert.equal(limit.busy(noon + shed, 10_000, 'a'), 2000);
    assert.equal(limit.free(noon + 20), 16);
  });

  test('takes calls that were shed together for one sign of overload', () => {
    const limit = new CallLimit();
    for (let shed = 0; shed < 16; shed++) limit.busy(noon + shed, 1000, `pod-${shed}`);
    assert.equal(limit.free(noon + 2000), 8);
  });

  test('never falls below two calls, and grows again with each that is served', () => {
    const limit = new CallLimit();
    for (let at = noon; at < noon + 20_000; at += 2000) {
      limit.busy(at, 1000, 'a');
      limit.busy(at, 1000, 'b');
    }
    assert.equal(limit.free(noon + 30_000), 2);
    for (let served = 0; served < 200; served++) limit.served();
    assert.equal(limit.free(noon + 30_000), 16);
  });

  test('does not sit out a Retry-After that would spend the notice', () => {
    const limit = new CallLimit();
    limit.busy(noon, 60_000, 'a');
    limit.busy(noon, 60_000, 'b');
    assert.equal(limit.free(noon + 2000), 8);
  });

  test('looks with two calls for a server that is away, less and less often, and gives it all when it answers', () => {
    const limit = new CallLimit();
    let calls = 0;
    for (let at = noon; at < noon + 60_000; at += 10)
      for (let free = limit.free(at); free > 0; free--) {
        limit.failed(at, `pod-${calls++ % 20}`);
      }
    assert.ok(calls > 60 && calls < 160, `${calls} calls in a minute`);
    limit.served();
    assert.equal(limit.free(noon + 60_000), 16);
  });

  test('takes calls without an answer about two pods for the trouble of these two', () => {
    const limit = new CallLimit();
    for (let failed = 0; failed < 20; failed++) limit.failed(noon, `pod-${failed % 2}`);
    assert.equal(limit.free(noon), 16);
  });

  test('does not wait for a clock that was set back', () => {
    const limit = new CallLimit();
    limit.busy(noon, 1000, 'a');
    limit.busy(noon, 1000, 'b');
    assert.equal(limit.free(noon - 3_600_000), 8);
  });
});

describe('the clock of an interruption', () => {
  const scene = () => {
    const times = { wallMs: noon, monotonicMs: 500 };
    const wall = { now: () => times.wallMs, sleep: async () => {} };
    return { times, clock: steadyClock(wall, () => times.monotonicMs) };
  };

  test('does not give time back when the wall clock is set back', () => {
    const { times, clock } = scene();
    times.wallMs -= 3_600_000;
    times.monotonicMs += 5000;
    assert.equal(clock.now(), noon + 5000);
  });

  test('follows the wall clock forward, and back again to where the time really is', () => {
    const { times, clock } = scene();
    times.wallMs += 60_000;
    assert.equal(clock.now(), noon + 60_000);
    times.wallMs -= 50_000;
    times.monotonicMs += 1000;
    assert.equal(clock.now(), noon + 10_000);
  });
});
