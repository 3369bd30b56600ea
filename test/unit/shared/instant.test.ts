import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { instant, parseInstant } from '../../../shared/interruption/interruption.ts';

const instants: readonly (readonly [text: string, utc: string])[] = [
  ['2026-04-24T17:11:44Z', '2026-04-24T17:11:44.000Z'],
  ['2026-04-24T17:11:44.5Z', '2026-04-24T17:11:44.500Z'],
  ['2026-04-24T17:11:44.123456789Z', '2026-04-24T17:11:44.123Z'],
  ['2026-04-24T17:11:44+02:00', '2026-04-24T15:11:44.000Z'],
  ['2026-04-24T23:11:44-05:30', '2026-04-25T04:41:44.000Z'],
  ['2026-04-24T17:11:44-00:00', '2026-04-24T17:11:44.000Z'],
  ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
  ['2000-02-29T23:59:59Z', '2000-02-29T23:59:59.000Z'],
  ['2026-12-31T23:59:59.999Z', '2026-12-31T23:59:59.999Z'],
  ['0000-01-01T00:00:00Z', '0000-01-01T00:00:00.000Z'],
];

for (const [text, utc] of instants)
  test(`${text} is the instant ${utc}`, () => {
    assert.equal(new Date(parseInstant(text) ?? Number.NaN).toISOString(), utc);
  });

const nonInstants: readonly unknown[] = [
  '2026-02-29T00:00:00Z',
  '2100-02-29T00:00:00Z',
  '2026-02-30T00:00:00Z',
  '2026-04-31T00:00:00Z',
  '2026-04-00T00:00:00Z',
  '2026-00-10T00:00:00Z',
  '2026-13-10T00:00:00Z',
  '2026-04-24T24:00:00Z',
  '2026-04-24T17:60:00Z',
  '2026-04-24T17:11:60Z',
  '2026-04-24T17:11:44+24:00',
  '2026-04-24T17:11:44+02:60',
  '2026-04-24T17:11:44',
  '2026-04-24T17:11Z',
  '2026-04-24',
  '2026-04-24 17:11:44Z',
  '2026-04-24t17:11:44z',
  '2026-04-24T17:11:44.Z',
  '2026-04-24T17:11:44.1234567890Z',
  '+002026-04-24T17:11:44Z',
  ' 2026-04-24T17:11:44Z',
  '2026-04-24T17:11:44Z\n',
  '24 Apr 2026 17:11:44 GMT',
  '',
  1_777_050_704_000,
  null,
  undefined,
  ['2026-04-24T17:11:44Z'],
  { toString: () => '2026-04-24T17:11:44Z' },
];

for (const value of nonInstants)
  test(`${JSON.stringify(value) ?? 'undefined'} is no instant`, () => {
    assert.equal(parseInstant(value), undefined);
  });

test('every instant that is written reads back as the same millisecond', () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true }),
      (date) => {
        assert.equal(parseInstant(instant(date.getTime())), date.getTime());
      },
    ),
  );
});

test('a date is an instant exactly if the calendar has it', () => {
  const parts = fc.tuple(
    fc.integer({ min: 1, max: 9999 }),
    fc.integer({ min: 0, max: 13 }),
    fc.integer({ min: 0, max: 32 }),
  );
  fc.assert(
    fc.property(parts, ([year, month, day]) => {
      const text = `${String(year).padStart(4, '0')}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}T00:00:00Z`;
      const date = new Date(0);
      date.setUTCFullYear(year, month - 1, day);
      const isReal = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
      assert.equal(parseInstant(text), isReal ? date.getTime() : undefined, text);
    }),
    { numRuns: 1000 },
  );
});

test('no value makes the parser throw or answer what is no number', () => {
  const almost = fc.stringMatching(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?(Z|[+-]\d{2}:\d{2})$/);
  fc.assert(
    fc.property(fc.oneof(fc.anything(), almost), (value) => {
      const epochMs = parseInstant(value);
      assert.ok(epochMs === undefined || Number.isSafeInteger(epochMs));
    }),
  );
});
