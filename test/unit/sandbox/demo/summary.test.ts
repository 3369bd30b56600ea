import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DemoEvent } from '../../../../sandbox/demo/demo-event.ts';
import { type DemoFacts, summarize } from '../../../../sandbox/demo/summary.ts';

const seenMs = 1_000_000;
const deadlineMs = seenMs + 30_000;
const facts: DemoFacts = {
  scenario: 'spot-termination',
  noticeMs: 30_000,
  isApiDown: false,
  pods: ['a', 's'],
  stubborn: ['s'],
  podsLeft: [],
  eventsPublished: 12,
  eventsReceived: 12,
  isInventoryConsistent: true,
  players: undefined,
};
const good: readonly DemoEvent[] = [
  { kind: 'notice-announced', atMs: seenMs - 400, deadlineMs },
  { kind: 'notice-seen', atMs: seenMs, node: 'n' },
  { kind: 'game-told', atMs: seenMs + 3, pod: 'a', how: 'signal:SIGTERM' },
  { kind: 'game-told', atMs: seenMs + 7, pod: 's', how: 'signal:SIGTERM' },
  { kind: 'node-cordoned', atMs: seenMs + 20, node: 'n' },
  { kind: 'pod-asked', atMs: seenMs + 30, pod: 'a', how: 'evicted', graceSeconds: 24 },
  { kind: 'pod-asked', atMs: seenMs + 31, pod: 's', how: 'deleted-budget', graceSeconds: 10 },
  { kind: 'game-ended', atMs: seenMs + 900, pod: 'a', exitCode: 0 },
  { kind: 'game-ready', atMs: seenMs + 2000, pod: 'b1' },
  { kind: 'game-ready', atMs: seenMs + 2500, pod: 'b2' },
  { kind: 'game-killed', atMs: deadlineMs - 6000, pod: 's' },
  { kind: 'game-ended', atMs: deadlineMs - 5990, pod: 's', exitCode: 137 },
];

test('a demo in which all goes well is ok and says how fast', () => {
  const summary = summarize(good, facts);
  assert.deepEqual(summary.problems, []);
  assert.equal(summary.ok, true);
  assert.deepEqual(
    [summary.notice_seen_to_first_told_ms, summary.notice_seen_to_last_told_ms, summary.notice_seen_to_cordon_ms],
    [3, 7, 20],
  );
  assert.deepEqual([summary.pods_evicted, summary.pods_deleted, summary.games_exited_cleanly], [1, 1, 1]);
  assert.equal(summary.killed_before_deadline_ms, 6000);
});

const without = (kind: DemoEvent['kind'], pod?: string) =>
  good.filter(
    (demoEvent) => demoEvent.kind !== kind || (pod !== undefined && 'pod' in demoEvent && demoEvent.pod !== pod),
  );

const failures: ReadonlyArray<readonly [string, readonly DemoEvent[], Partial<DemoFacts>]> = [
  ['a game was not told', without('game-told', 'a'), {}],
  ['a game was still running at the deadline', without('game-ended', 'a'), {}],
  ['the node was not cordoned', without('node-cordoned'), {}],
  ['a replacement is missing', without('game-ready', 'b2'), {}],
  ['a pod was left', good, { podsLeft: ['s'] }],
  ['the inventory is wrong', good, { isInventoryConsistent: false }],
  [
    'a game was killed too early',
    good.map((demoEvent) => (demoEvent.kind === 'game-killed' ? { ...demoEvent, atMs: seenMs + 1000 } : demoEvent)),
    {},
  ],
  [
    'a game was killed that would have ended',
    [...good, { kind: 'game-killed', atMs: deadlineMs - 6000, pod: 'a' }],
    {},
  ],
];

for (const [what, demoEvents, changed] of failures)
  test(`a demo in which ${what} is not ok and says so`, () => {
    const summary = summarize(demoEvents, { ...facts, ...changed });
    assert.equal(summary.ok, false);
    assert.notEqual(summary.problems.length, 0);
  });

test('without the API server only the games count', () => {
  const demoEvents = good.filter(
    ({ kind }) => kind !== 'node-cordoned' && kind !== 'game-ready' && kind !== 'pod-asked',
  );
  const summary = summarize(demoEvents, { ...facts, isApiDown: true, podsLeft: ['a', 's'] });
  assert.deepEqual(summary.problems, []);
  assert.equal(summary.pods_left_at_deadline, 2);
});
