import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isSilent,
  newRhythm,
  observe,
  type Rhythm,
  type RhythmRules,
  silenceMs,
} from '../../../fanout/election/rhythm.ts';

const rules: RhythmRules = { missedReplies: 3, minSilenceMs: 50 };

/** Lets a replica answer `perTick` sends for some ticks. */
function run(rhythm: Rhythm, ticks: number, elapsedMs: number, sendsPerTick: number, isAnswering: boolean): Rhythm {
  let next = rhythm;
  for (let tick = 0; tick < ticks; tick++)
    next = observe(
      next,
      { sends: next.sends + sendsPerTick, replies: next.replies + (isAnswering ? sendsPerTick : 0) },
      elapsedMs,
    );
  return next;
}

test('a replica that answers is never silent', () => {
  assert.equal(isSilent(run(newRhythm, 1000, 5, 3, true), rules), false);
});

test('a replica that stops answering is silent after the shortest silence, not before', () => {
  const answering = run(newRhythm, 100, 5, 3, true);
  assert.equal(isSilent(run(answering, 10, 5, 3, false), rules), false);
  assert.equal(isSilent(run(answering, 11, 5, 3, false), rules), true);
});

test('a replica to which nobody sends is not silent', () => {
  assert.equal(isSilent(run(run(newRhythm, 100, 5, 3, true), 10_000, 5, 0, false), rules), false);
});

test('one datagram without an answer is no silence, however long ago', () => {
  const asked = run(run(newRhythm, 100, 5, 3, true), 1, 5, 1, false);
  assert.equal(isSilent(run(asked, 10_000, 5, 0, false), rules), false);
});

test('a replica that answers slowly is given three times what it usually takes', () => {
  let slow = newRhythm;
  for (let reply = 0; reply < 50; reply++) slow = run(run(slow, 20, 5, 1, false), 1, 5, 1, true);
  const limitMs = silenceMs(slow, rules);
  assert.ok(limitMs > 250 && limitMs < 500, `${limitMs}`);
  assert.equal(isSilent(run(slow, 30, 5, 1, false), rules), false);
  assert.equal(isSilent(run(slow, 110, 5, 1, false), rules), true);
});

test('a pause of the players is not learned as slowness', () => {
  let rhythm = run(newRhythm, 100, 5, 3, true);
  for (let pause = 0; pause < 20; pause++) rhythm = run(run(rhythm, 1000, 5, 0, false), 3, 5, 3, true);
  assert.ok(silenceMs(rhythm, rules) <= 60, `${silenceMs(rhythm, rules)}`);
});
