import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CheckedClock } from '../../../shared/checked-clock.ts';
import { silentLog } from '../../../shared/log.ts';

const trueStartMs = Date.parse('2026-04-24T12:00:00Z');

/** A machine whose wall clock is wrong by so much, and servers that tell the time of theirs. */
function machine(initialSkewMs: number) {
  const time = { monotonicMs: 5000, skewMs: initialSkewMs };
  const trueMs = () => trueStartMs + time.monotonicMs;
  const said: string[] = [];
  const log = {
    ...silentLog,
    warn: (_: object, message: string) => said.push(message),
    info: (_: object, message: string) => said.push(message),
  };
  const wall = { now: () => trueMs() + time.skewMs, sleep: async () => {} };
  const clock = new CheckedClock({ wall, monotonicMs: () => time.monotonicMs });
  const listeners = { metadata: clock.listen('metadata', log), kubernetes: clock.listen('kubernetes', log) };
  const hear = (from: keyof typeof listeners, tookMs = 20, aheadMs = 0) => {
    const askedMs = time.monotonicMs;
    time.monotonicMs += tookMs / 2;
    const date = new Date(trueMs() + aheadMs).toUTCString();
    time.monotonicMs += tookMs / 2;
    listeners[from](date, askedMs);
  };
  return { clock, wall, time, trueMs, hear, said, listeners };
}

describe('a clock that is checked', () => {
  test('is the wall clock while nobody says otherwise, and while the others agree with it', () => {
    const { clock, wall, hear } = machine(900);
    assert.deepEqual([clock.now(), clock.skewMs], [wall.now(), undefined]);
    hear('metadata');
    hear('kubernetes');
    assert.equal(clock.now(), wall.now());
    assert.equal(clock.toWall(trueStartMs), trueStartMs);
  });

  for (const skewMs of [-3_600_000, -180_000, 180_000, 3_600_000])
    test(`shows the metadata service's time where the wall clock is ${skewMs} ms away from it`, () => {
      const { clock, wall, trueMs, hear, said } = machine(skewMs);
      hear('metadata');
      assert.ok(Math.abs(clock.now() - trueMs()) <= 1000);
      assert.ok(Math.abs((clock.skewMs ?? 0) - skewMs) <= 1000);
      assert.ok(Math.abs(clock.toWall(trueMs()) - wall.now()) <= 1000);
      hear('metadata');
      assert.deepEqual(said, ['Clock skew: deadlines are corrected']);
    });

  test('comes nearer to the truth with each answer', () => {
    const { clock, time, trueMs, hear } = machine(180_000);
    hear('metadata', 1500);
    for (let answers = 0; answers < 30; answers++) {
      time.monotonicMs += 1037;
      hear('metadata', answers % 3 === 0 ? 1500 : 5);
    }
    assert.ok(Math.abs(clock.now() - trueMs()) <= 100);
  });

  test('notices a step of the wall clock without another answer, and its return', () => {
    const { clock, time, trueMs, hear, said } = machine(0);
    hear('metadata');
    time.skewMs = -600_000;
    assert.ok(Math.abs(clock.now() - trueMs()) <= 1000);
    hear('metadata');
    time.skewMs = 0;
    hear('metadata');
    assert.equal(clock.now(), trueMs());
    assert.deepEqual(said, ['Clock skew: deadlines are corrected', 'Clock skew resolved']);
  });

  test('is not led astray by one of two servers whose clock is wrong', () => {
    for (const wrong of ['metadata', 'kubernetes'] as const) {
      const { clock, trueMs, hear } = machine(0);
      hear('metadata', 20, wrong === 'metadata' ? 600_000 : 0);
      hear('kubernetes', 20, wrong === 'kubernetes' ? -600_000 : 0);
      assert.equal(clock.now(), trueMs());
    }
  });

  test('is not led astray by what is no date', () => {
    const { clock, wall, listeners } = machine(0);
    for (const odd of [undefined, null, '', 'yesterday', 'Sat, 99 Nov 2026 04:08:03 GMT']) listeners.metadata(odd, 0);
    assert.deepEqual([clock.now(), clock.skewMs], [wall.now(), undefined]);
  });

  test('is never further from the truth than the tolerance and what a slow answer leaves open', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -10_000_000, max: 10_000_000 }),
        fc.array(fc.record({ pauseMs: fc.nat(5000), tookMs: fc.nat(3000) }), { minLength: 1, maxLength: 20 }),
        (skewMs, answers) => {
          const { clock, time, trueMs, hear } = machine(skewMs);
          for (const { pauseMs, tookMs } of answers) {
            time.monotonicMs += pauseMs;
            hear('metadata', tookMs);
          }
          const openMs = (Math.min(...answers.map(({ tookMs }) => tookMs)) + 1000) / 2;
          assert.ok(Math.abs(clock.now() - trueMs()) <= 2000 + openMs + 1);
        },
      ),
    );
  });
});
