import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ClusterState } from '../../../fleet/cluster/cluster-view.ts';
import { type Fleet, readOverflow } from '../../../fleet/cluster/fleet.ts';
import { planPass } from '../../../fleet/loop/plan-pass.ts';
import { allocatedPod, fleet, node, pod, stateOf, version } from './state.ts';

const nowMs = Date.parse('2026-01-01T00:10:00Z');
const plan = (state: ClusterState) => planPass(state, { nowMs, activationMs: 60_000 });
const names = (state: ClusterState) =>
  plan(state).map((step) => ('pod' in step ? `${step.kind} ${step.pod.name}` : `${step.kind} ${step.replicas}`));

describe('sessions', () => {
  const at = (time: string, taken?: string) => ({
    annotations: {
      'spotable.dev/allocated-at': time,
      ...(taken !== undefined && { 'spotable.dev/session-taken': taken }),
    },
  });
  const cases: readonly (readonly [string, ReturnType<typeof pod>, readonly string[]])[] = [
    ['one that goes on is left alone', allocatedPod('a', at('2026-01-01T00:00:00Z', 'session-a')), []],
    ['one whose container was started again is over', allocatedPod('a', { restarts: 1 }), ['delete-spent a']],
    [
      'one that began after restarts is not over for them',
      allocatedPod('a', { restarts: 2, annotations: { 'spotable.dev/allocated-restarts': '2' } }),
      [],
    ],
    ['one whose pod has ended is over', allocatedPod('a', { isFinished: true }), ['delete-spent a']],
    ['one that is being deleted is left alone', allocatedPod('a', { isFinished: true, isDeleting: true }), []],
    ['an unallocated pod that restarts is the business of others', pod('a', { restarts: 5 }), []],
    [
      'the game said Ready() again',
      allocatedPod('a', { annotations: { 'spotable.dev/session-over': 'session-a' } }),
      ['give-back a'],
    ],
    ['it was said of an earlier one', allocatedPod('a', { annotations: { 'spotable.dev/session-over': 'other' } }), []],
    ['never taken', allocatedPod('a', at('2026-01-01T00:08:59Z', '')), ['give-back a']],
    ['not taken yet', allocatedPod('a', at('2026-01-01T00:09:30Z', '')), []],
    ['nobody says whether it was taken', allocatedPod('a', at('2026-01-01T00:00:00Z')), []],
  ];
  for (const [what, one, expected] of cases)
    test(what, () => assert.deepEqual(names(stateOf({ pods: [one] })), expected));
});

describe('the maximum', () => {
  const sessions = (count: number) =>
    Array.from({ length: count }, (_, index) => allocatedPod(`s${index}`, { labels: { 'spotable.dev/fleet': 'f' } }));
  const cases: readonly (readonly [string, Partial<Fleet>, number, readonly string[]])[] = [
    ['none', { replicas: 3 }, 50, []],
    ['room for all', { replicas: 3, max: 10, warm: 3 }, 7, []],
    ['sessions take the place of warm ones', { replicas: 3, max: 10, warm: 3 }, 8, ['set-replicas 2']],
    ['no room at all', { replicas: 1, max: 10, warm: 3 }, 12, ['set-replicas 0']],
    ['sessions have ended', { replicas: 0, max: 10, warm: 3 }, 4, ['set-replicas 3']],
    ['what is wanted is written down first', { replicas: 3, max: 10 }, 0, ['set-replicas 3']],
  ];
  for (const [what, change, count, expected] of cases)
    test(what, () =>
      assert.deepEqual(names(stateOf({ fleets: [fleet('f', change)], pods: sessions(count) })), expected),
    );
});

describe('overflow, as Agones counts it', () => {
  const green = { labels: { colour: 'green' }, annotations: {} };
  const labels = { 'spotable.dev/fleet': 'f', 'pod-template-hash': 'h1' };
  const five = (marked = 0) =>
    Array.from({ length: 5 }, (_, index) =>
      allocatedPod(`s${index}`, { labels: { ...labels, ...(index < marked && { colour: 'green' }) } }),
    );
  const marks = (state: ClusterState) => names(state).filter((name) => name.startsWith('mark-overflow'));
  // Agones' own cases: 5 allocated game servers of a set that shall have 3.
  const downscaled = fleet('f', { max: 3, warm: 0, replicas: 0, overflow: green });
  const scaled = (marked: number) =>
    stateOf({ fleets: [{ ...downscaled, warm: 1 }], versions: [version('f', 'h1')], pods: five(marked) });

  test('labels are applied to as many as are too many', () => assert.equal(marks(scaled(0)).length, 2));
  test('labels that are set already count', () => assert.equal(marks(scaled(5)).length, 0));
  test('one label is set: one more', () => assert.equal(marks(scaled(1)).length, 1));
  test('nothing is too many without a maximum', () => {
    const state = stateOf({ fleets: [fleet('f', { overflow: green })], versions: [version('f', 'h1')], pods: five() });
    assert.deepEqual(marks(state), []);
  });
  test('a fleet that is scaled to nothing leaves all of them behind', () => {
    const fleets = [fleet('f', { overflow: green, replicas: 0 })];
    assert.equal(marks(stateOf({ fleets, versions: [version('f', 'h1')], pods: five() })).length, 5);
  });
  test('after an update every session of the old version is marked, and none of the new one', () => {
    const versions = [version('f', 'h1', { replicas: 0 }), version('f', 'h2', { revision: '2' })];
    const fleets = [fleet('f', { revision: '2', overflow: green })];
    const current = allocatedPod('new', { labels: { ...labels, 'pod-template-hash': 'h2' } });
    assert.equal(marks(stateOf({ fleets, versions, pods: [...five(), current] })).length, 5);
    assert.ok(!marks(stateOf({ fleets, versions, pods: [...five(), current] })).includes('mark-overflow new'));
  });
  test('in the midst of an update as many stay unmarked as the old version still has replicas', () => {
    const versions = [version('f', 'h1', { replicas: 2 }), version('f', 'h2', { revision: '2' })];
    const fleets = [fleet('f', { revision: '2', overflow: green })];
    assert.equal(marks(stateOf({ fleets, versions, pods: five() })).length, 3);
  });
  test('a version that its history has forgotten is an old one', () => {
    const fleets = [fleet('f', { overflow: green })];
    assert.equal(marks(stateOf({ fleets, versions: [version('f', 'h9')], pods: five() })).length, 5);
  });
  test('they are marked in scheduling order: the fullest node first', () => {
    const on = (name: string, nodeName: string) => allocatedPod(name, { nodeName, labels });
    const pods = [on('a', 'n-1'), on('b', 'n-2'), on('c', 'n-2')];
    const fleets = [fleet('f', { max: 1, warm: 1, replicas: 1, overflow: green })];
    const state = (scheduling: 'Packed' | 'Distributed') =>
      stateOf({ fleets: fleets.map((one) => ({ ...one, scheduling })), versions: [version('f', 'h1')], pods });
    assert.deepEqual(marks(state('Packed')), ['mark-overflow b', 'mark-overflow c']);
    assert.deepEqual(marks(state('Distributed')), ['mark-overflow a', 'mark-overflow b']);
  });
  test('an empty value blanks a label, and a blank label is a mark', () => {
    const overflow = readOverflow('{"labels":{"version":""},"annotations":{"event":"overflow"}}');
    assert.deepEqual(overflow, { labels: { version: '' }, annotations: { event: 'overflow' } });
    const change = { labels: { ...labels, version: '' }, annotations: { event: 'overflow' } };
    const fleets = [fleet('f', { replicas: 0, ...(overflow && { overflow }) })];
    const state = (one: ReturnType<typeof pod>) => stateOf({ fleets, versions: [version('f', 'h1')], pods: [one] });
    assert.equal(marks(state(allocatedPod('s', change))).length, 0);
    assert.equal(marks(state(allocatedPod('s', { labels: { ...labels, version: '1' } }))).length, 1);
  });
  test('what says nothing is no overflow', () => {
    for (const text of [undefined, '', '{}', 'no json', '[]', '{"labels":{}}', '{"labels":{"a":1}}'])
      assert.equal(readOverflow(text), undefined, text);
  });
});

test('a pass over 5000 pods on 300 nodes is no work to speak of', () => {
  const nodes = Array.from({ length: 300 }, (_, index) => node(`n-${index}`));
  const pods = Array.from({ length: 5000 }, (_, index) =>
    (index % 3 === 0 ? allocatedPod : pod)(`p${index}`, {
      nodeName: `n-${index % 300}`,
      labels: { 'spotable.dev/fleet': 'f', 'pod-template-hash': 'h1' },
    }),
  );
  const fleets = [fleet('f', { overflow: { labels: { a: 'b' }, annotations: {} } })];
  assert.deepEqual(plan(stateOf({ pods, nodes, fleets, versions: [version('f', 'h1')] })), []);
});
