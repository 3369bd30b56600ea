import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { instant } from '../../../shared/interruption/interruption.ts';
import { readInstant } from '../../../shared/interruption/read-instant.ts';

const at = Date.parse('2026-01-05T09:00:43Z');

for (const value of [
  '2026-01-05T09:00:43Z',
  '2026-01-05T09:00:43',
  '2026-01-05 09:00:43',
  '2026-01-05 09:00:43 UTC',
  '2026-01-05t09:00:43z',
  ' 2026-01-05T09:00:43.000Z\n',
  '2026-01-05T10:00:43+01:00',
  '2026-01-05T10:00:43+0100',
  '05 Jan 2026 09:00:43 GMT',
  '5 Jan 2026 09:00:43 GMT',
  'Mon, 05 Jan 2026 09:00:43 GMT',
  at,
  at / 1000,
  String(at),
  String(at / 1000),
])
  test(`${JSON.stringify(value)} is read as the instant that it means`, () => {
    assert.equal(readInstant(value), at);
  });

for (const value of [
  '',
  '2026-01-05',
  '2026-02-30T00:00:00Z',
  '31 Feb 2026 09:00:43 GMT',
  '05 Foo 2026 09:00:43 GMT',
  '2026-01-05T25:00:43Z',
  '2026-01-05T09:00:43+99:00',
  'yesterday',
  '12',
  7,
  -at,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  1e300,
  null,
  undefined,
  [at],
  {},
])
  test(`${JSON.stringify(value) ?? 'undefined'} (${typeof value}) is no instant`, () => {
    assert.equal(readInstant(value), undefined);
  });

test('every instant that we write ourselves is read back, and nothing makes the reader throw', () => {
  const date = fc.date({ min: new Date(1e12), max: new Date('2200-01-01T00:00:00Z'), noInvalidDate: true });
  fc.assert(
    fc.property(date, (written) => {
      assert.equal(readInstant(instant(written.getTime())), written.getTime());
      const wholeMs = Math.floor(written.getTime() / 1000) * 1000;
      assert.equal(readInstant(new Date(wholeMs).toUTCString()), wholeMs);
    }),
  );
  fc.assert(
    fc.property(fc.anything(), (value) => {
      const epochMs = readInstant(value);
      assert.ok(epochMs === undefined || Number.isSafeInteger(epochMs));
    }),
  );
});
