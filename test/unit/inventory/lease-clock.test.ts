import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LeaseClock } from '../../../inventory/queue/lease-clock.ts';

const hour = 3_600_000;

test('it stands still while nothing is heard, whatever the wall says', () => {
  const clock = new LeaseClock();
  assert.equal(clock.nowMs, Number.NEGATIVE_INFINITY);
  clock.drained(100_000);
  const stood = clock.nowMs;
  assert.ok(stood < 100_000 && stood >= 95_000);
  clock.heard(100_500, 100_600);
  assert.equal(clock.nowMs, stood);
});

test('an empty queue moves it to the answer of the queue, less a little for what others hold in their hands', () => {
  const clock = new LeaseClock();
  clock.drained(1_000_000);
  assert.equal(clock.nowMs, 998_000);
});

test('a backlog of an hour moves it through that hour and never past the oldest of the last seconds', () => {
  const clock = new LeaseClock();
  let previous = clock.nowMs;
  for (let step = 0; step < 360; step++) {
    const receivedMs = hour + step * 100;
    const sentMs = step * 10_000;
    // Standard queues mix: now and then one from up to a minute before.
    const mixedMs = step % 3 === 0 ? Math.max(0, sentMs - 60_000) : sentMs;
    clock.heard(mixedMs, receivedMs);
    assert.ok(clock.nowMs <= mixedMs, `at ${step}: ${clock.nowMs} is past ${mixedMs}`);
    assert.ok(clock.nowMs >= previous);
    previous = clock.nowMs;
  }
  assert.ok(clock.nowMs > hour / 2, 'it has moved');
});

test('under constant load it follows some seconds behind', () => {
  const clock = new LeaseClock();
  for (let nowMs = 0; nowMs <= 60_000; nowMs += 50) clock.heard(nowMs - 20, nowMs);
  assert.ok(clock.nowMs >= 60_000 - 11_000 && clock.nowMs < 60_000, String(clock.nowMs));
});

test('it never goes back, not for an old redelivery nor for a queue whose clock jumps', () => {
  const clock = new LeaseClock(5_000_000);
  clock.drained(1_000_000);
  for (let nowMs = 0; nowMs < 30_000; nowMs += 1000) clock.heard(10, nowMs);
  assert.equal(clock.nowMs, 5_000_000);
});

test('a straggler holds it for two windows at most', () => {
  const clock = new LeaseClock();
  clock.heard(1000, 100_000);
  for (let nowMs = 100_100; nowMs < 116_000; nowMs += 100) clock.heard(nowMs, nowMs);
  assert.ok(clock.nowMs > 100_000);
});
