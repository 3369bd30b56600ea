import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, parseDuration } from '../../../shared/duration.ts';

const readings: readonly (readonly [text: string, ms: number | undefined])[] = [
  ['500ms', 500],
  ['0ms', 0],
  ['0s', 0],
  ['5s', 5000],
  [' 5s\n', 5000],
  ['2m', 120_000],
  ['1.5h', 5_400_000],
  ['0.001s', 1],
  ['1.4ms', 1],
  ['999999999ms', 999_999_999],
  ['', undefined],
  ['5', undefined],
  ['s', undefined],
  ['-5s', undefined],
  ['+5s', undefined],
  ['5 s', undefined],
  ['5S', undefined],
  ['5d', undefined],
  ['1m30s', undefined],
  ['.5s', undefined],
  ['1.s', undefined],
  ['1.2345s', undefined],
  ['1e3s', undefined],
  ['1000000000s', undefined],
  ['٣s', undefined],
  ['5sconstructor', undefined],
];

for (const [text, ms] of readings)
  test(`${JSON.stringify(text)} reads as ${ms === undefined ? 'no duration' : `${ms} ms`}`, () => {
    assert.equal(parseDuration(text), ms);
  });

const writings: readonly (readonly [ms: number, text: string])[] = [
  [0, '0ms'],
  [1, '1ms'],
  [999, '999ms'],
  [1000, '1s'],
  [1001, '1.001s'],
  [1500, '1.5s'],
  [60_000, '1m'],
  [90_000, '90s'],
  [5_400_000, '90m'],
  [7_200_000, '2h'],
  [86_400_000, '24h'],
  [12.4, '12ms'],
  [-1500, '-1.5s'],
];

for (const [ms, text] of writings)
  test(`${ms} ms is written ${text}`, () => {
    assert.equal(formatDuration(ms), text);
  });

test('what is written reads back as the same number of milliseconds', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.nat(),
        fc.nat({ max: 1000 }).map((n) => n * 30_000),
        fc.integer({ min: 0, max: 999_999_999_999 }),
      ),
      (ms) => {
        assert.equal(parseDuration(formatDuration(ms)), ms);
      },
    ),
  );
});

test('no text makes the parser throw, and what it answers is a whole number of milliseconds', () => {
  const texts = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[\d.]{0,12}(ms|s|m|h)?$/));
  fc.assert(
    fc.property(texts, (text) => {
      const ms = parseDuration(text);
      assert.ok(ms === undefined || (Number.isSafeInteger(ms) && ms >= 0));
    }),
  );
});
