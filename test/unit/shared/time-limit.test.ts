import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TimeLimit } from '../../../shared/time-limit.ts';

test('a server that takes its time gets twice that, and a quick one no more than the minimum', () => {
  const limit = new TimeLimit({ min: 1000, max: 5000 });
  limit.answered(5);
  assert.equal(limit.ms, 1000);
  limit.answered(900);
  assert.equal(limit.ms, 1800);
  limit.answered(5);
  assert.equal(limit.ms, 1000);
});

test('a limit that was too short grows up to the maximum; calls that it ended together count once', () => {
  const limit = new TimeLimit({ min: 1000, max: 5000 });
  for (const expectedMs of [3000, 5000, 5000]) {
    const began = limit.ms;
    for (let together = 0; together < 4; together++) limit.exceeded(began);
    assert.equal(limit.ms, expectedMs);
  }
});

test('a limit never leaves its range', () => {
  const step = fc.record({ isAnswer: fc.boolean(), ms: fc.double({ min: 0, max: 1e6, noNaN: true }) });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const limit = new TimeLimit({ min: 1000, max: 5000 });
      for (const { isAnswer, ms } of steps) {
        if (isAnswer) limit.answered(ms);
        else limit.exceeded(ms);
        assert.ok(limit.ms >= 1000 && limit.ms <= 5000);
      }
    }),
  );
});
