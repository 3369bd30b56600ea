import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  initialReplyTiming,
  isSilent,
  observeTraffic,
  type ReplyTiming,
  type SilenceRules,
  silenceThresholdMs,
} from '../../../fanout/election/reply-timing.ts';

const rules: SilenceRules = { missedReplies: 3, minSilenceMs: 50 };

/** Lets a replica answer `perTick` sends for some ticks. */
function run(
  timing: ReplyTiming,
  ticks: number,
  elapsedMs: number,
  sendsPerTick: number,
  isAnswering: boolean,
): ReplyTiming {
  let next = timing;
  for (let tick = 0; tick < ticks; tick++)
    next = observeTraffic(
      next,
      { sends: next.sends + sendsPerTick, replies: next.replies + (isAnswering ? sendsPerTick : 0) },
      elapsedMs,
    );
  return next;
}

test('a replica that answers is never silent', () => {
  assert.equal(isSilent(run(initialReplyTiming, 1000, 5, 3, true), rules), false);
});

test('a replica that stops replying is silent after the minimum silence, not before', () => {
  const answering = run(initialReplyTiming, 100, 5, 3, true);
  assert.equal(isSilent(run(answering, 10, 5, 3, false), rules), false);
  assert.equal(isSilent(run(answering, 11, 5, 3, false), rules), true);
});

test('a replica to which nobody sends is not silent', () => {
  assert.equal(isSilent(run(run(initialReplyTiming, 100, 5, 3, true), 10_000, 5, 0, false), rules), false);
});

test('one unanswered datagram is not a silence, however old', () => {
  const asked = run(run(initialReplyTiming, 100, 5, 3, true), 1, 5, 1, false);
  assert.equal(isSilent(run(asked, 10_000, 5, 0, false), rules), false);
});

test('a slow replica gets three times its usual delay', () => {
  let slow = initialReplyTiming;
  for (let reply = 0; reply < 50; reply++) slow = run(run(slow, 20, 5, 1, false), 1, 5, 1, true);
  const limitMs = silenceThresholdMs(slow, rules);
  assert.ok(limitMs > 250 && limitMs < 500, `${limitMs}`);
  assert.equal(isSilent(run(slow, 30, 5, 1, false), rules), false);
  assert.equal(isSilent(run(slow, 110, 5, 1, false), rules), true);
});

test('a pause of the players is not learned as slowness', () => {
  let timing = run(initialReplyTiming, 100, 5, 3, true);
  for (let pause = 0; pause < 20; pause++) timing = run(run(timing, 1000, 5, 0, false), 3, 5, 3, true);
  assert.ok(silenceThresholdMs(timing, rules) <= 60, `${silenceThresholdMs(timing, rules)}`);
});
