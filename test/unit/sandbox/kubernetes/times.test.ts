import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { microTimestamp, parseMicroTime, parseTime } from '../../../../sandbox/kubernetes/schema/times.ts';

const micro = '2006-01-02T15:04:05.000000Z07:00';

describe('A time', () => {
  it('loses its fraction and becomes UTC', () => {
    assert.deepEqual(parseTime('2026-11-22T11:14:23.999Z'), { text: '2026-11-22T11:14:23Z' });
    assert.deepEqual(parseTime('2026-11-22T13:14:23+02:00'), { text: '2026-11-22T11:14:23Z' });
  });

  for (const text of ['yesterday', '', '2026-11-22', '2026-13-22T11:14:23Z', '2026-11-22T11:14:23']) {
    it(`"${text}" is none`, () => assert.ok('complaint' in parseTime(text)));
  }
});

describe('A micro time', () => {
  it('keeps its six digits', () => {
    assert.deepEqual(parseMicroTime('2026-11-22T11:14:23.123456Z'), { text: '2026-11-22T11:14:23.123456Z' });
  });

  for (const [text, rest] of [
    ['2026-11-22T11:14:23Z', 'Z'],
    ['2026-11-22T11:14:23.740Z', '.740Z'],
    ['2026-11-22T11:14:23.1234567Z', '.1234567Z'],
  ] as const) {
    it(`"${text}" is refused for its fraction`, () => {
      const complaint = `parsing time "${text}" as "${micro}": cannot parse "${rest}" as ".000000"`;
      assert.deepEqual(parseMicroTime(text), { complaint });
    });
  }

  it('made of any moment is read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000_000 }), (nowMs) => {
        const text = microTimestamp(nowMs);
        assert.deepEqual(parseMicroTime(text), { text });
      }),
    );
  });
});
