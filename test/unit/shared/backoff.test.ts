import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { backoffMs } from '../../../shared/backoff.ts';

const backoff = { firstMs: 100, maxMs: 5000 };

test('the longest wait doubles with each failure up to the limit, and the shortest is half of it', () => {
  const longest = (failures: number): number => backoffMs(backoff, failures, () => 1);
  const shortest = (failures: number): number => backoffMs(backoff, failures, () => 0);
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7, 8].map(longest), [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7, 8].map(shortest), [50, 100, 200, 400, 800, 1600, 2500, 2500]);
});

test('a wait stays within its limits after any number of failures', () => {
  const failures = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(failures, fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (count, random) => {
      const ms = backoffMs(backoff, count, () => random);
      assert.ok(ms >= 50 && ms <= 5000, `${ms} ms after ${count} failures`);
    }),
  );
});
