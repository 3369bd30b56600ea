import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decideStop, effectiveGraceSeconds, type Stopping } from '../../../../sandbox/kubelet/pod/grace.ts';
import { makePod } from './pods.ts';

test('the grace is what the deletion says, can only shrink, and a forced deletion still leaves the pod its own', () => {
  const cases: [string, number | undefined, number | undefined, number | undefined, number][] = [
    // what, told, own, current, expected
    ['told', 5, 30, undefined, 5],
    ['longer than its own', 60, 10, undefined, 60],
    ['not told: its own', undefined, 12, undefined, 12],
    ['neither', undefined, undefined, undefined, 30],
    ['forced: gone from the API, processes get their own grace', 0, 12, undefined, 12],
    ['its own is 0: the kubelet gives 1', undefined, 0, undefined, 1],
    ['a second deletion makes it sooner', 5, 30, 20, 5],
    ['a second deletion cannot make it later', 25, 30, 20, 20],
    ['forced while it ends: goes on as it was', 0, 30, 20, 20],
  ];
  for (const [what, told, own, current, expected] of cases) {
    const pod = makePod(
      told === undefined ? {} : { deletionGracePeriodSeconds: told },
      own === undefined ? {} : { terminationGracePeriodSeconds: own },
    );
    assert.equal(effectiveGraceSeconds(pod, current), expected, what);
  }
});

const now = 1_000_000;
const signalled = (graceSeconds: number, killAtMs: number): Stopping => ({
  state: 'signalled',
  graceSeconds,
  killAtMs,
});

test('without a hook SIGTERM goes out at once and SIGKILL when the grace is over', () => {
  const first = decideStop(undefined, now, { graceSeconds: 10, hook: 'none' });
  assert.deepEqual(first, { stopping: signalled(10, now + 10_000), act: 'terminate', wakeAtMs: now + 10_000 });
  const { stopping } = first;
  assert.equal(decideStop(stopping, now + 9_999, { graceSeconds: 10, hook: 'none' }).act, 'wait');
  const last = decideStop(stopping, now + 10_000, { graceSeconds: 10, hook: 'none' });
  assert.equal(last.act, 'kill');
  assert.ok(last.wakeAtMs > now + 10_000, 'it does not spin while the process dies');
});

test('a container has at least 2 s between SIGTERM and SIGKILL, whatever was asked for', () => {
  for (const graceSeconds of [0, 1, 2]) {
    assert.equal(decideStop(undefined, now, { graceSeconds, hook: 'none' }).wakeAtMs, now + 2_000);
  }
});

test('a shorter grace counts from when it is learned of, and brings no second SIGTERM', () => {
  const decision = decideStop(signalled(60, now + 60_000), now + 5_000, { graceSeconds: 10, hook: 'none' });
  assert.deepEqual(decision, { stopping: signalled(10, now + 15_000), act: 'wait', wakeAtMs: now + 15_000 });
});

test('a hook runs first, and what it took is taken from the grace in whole seconds', () => {
  const first = decideStop(undefined, now, { graceSeconds: 10, hook: 'pending' });
  assert.deepEqual(first, {
    stopping: { state: 'hook', graceSeconds: 10, sinceMs: now },
    act: 'run-hook',
    wakeAtMs: now + 10_000,
  });
  assert.equal(decideStop(first.stopping, now + 3_900, { graceSeconds: 10, hook: 'pending' }).act, 'wait');
  const done = decideStop(first.stopping, now + 3_900, { graceSeconds: 10, hook: 'done' });
  assert.deepEqual(done, { stopping: signalled(10, now + 3_900 + 7_000), act: 'terminate', wakeAtMs: now + 10_900 });
});

test('a hook that takes all of the grace is cut off, and SIGTERM still gets its 2 s', () => {
  const stopping: Stopping = { state: 'hook', graceSeconds: 10, sinceMs: now };
  const decision = decideStop(stopping, now + 10_000, { graceSeconds: 10, hook: 'pending' });
  assert.deepEqual(decision, { stopping: signalled(10, now + 12_000), act: 'terminate', wakeAtMs: now + 12_000 });
});

test('a shorter grace during the hook shortens the hook', () => {
  const stopping: Stopping = { state: 'hook', graceSeconds: 60, sinceMs: now };
  const shortened = decideStop(stopping, now + 5_000, { graceSeconds: 3, hook: 'pending' });
  assert.deepEqual(shortened, {
    stopping: { state: 'hook', graceSeconds: 3, sinceMs: now + 5_000 },
    act: 'wait',
    wakeAtMs: now + 8_000,
  });
});

test('whenever it is asked, it kills in the end, signals exactly once before, and does not spin', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ afterMs: fc.nat(5_000), graceSeconds: fc.integer({ min: 0, max: 20 }) }), { maxLength: 30 }),
      fc.boolean(),
      (asks, hasHook) => {
        let at = now;
        let graceSeconds = 20;
        const hook = hasHook ? 'pending' : 'none';
        let stopping: Stopping | undefined;
        const acts: string[] = [];
        const decide = (): number => {
          const decision = decideStop(stopping, at, { graceSeconds, hook });
          stopping = decision.stopping;
          if (decision.act !== 'wait') acts.push(decision.act);
          assert.ok(decision.wakeAtMs > at || decision.act !== 'kill', 'it would spin');
          return decision.wakeAtMs;
        };
        for (const ask of asks) {
          at += ask.afterMs;
          graceSeconds = Math.min(graceSeconds, ask.graceSeconds);
          decide();
        }
        for (let turn = 0; turn < 5 && acts.at(-1) !== 'kill'; turn += 1) at = Math.max(at, decide());
        assert.equal(acts.filter((act) => act === 'terminate').length, 1);
        assert.equal(acts.filter((act) => act === 'run-hook').length, hasHook ? 1 : 0);
        assert.ok(acts.indexOf('terminate') < acts.indexOf('kill'));
      },
    ),
  );
});
