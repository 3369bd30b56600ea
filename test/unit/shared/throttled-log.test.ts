import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonLog } from '../../../shared/log.ts';
import { throttledLog } from '../../../shared/throttled-log.ts';

test('passes on so many lines of each message in a period, and says how many it kept back', () => {
  const lines: string[] = [];
  let upMs = 0;
  const log = throttledLog(jsonLog({ write: (line) => lines.push(line), now: () => 0, name: 't' }), {
    max: 2,
    periodMs: 1000,
    upMs: () => upMs,
  });
  for (let index = 0; index < 100; index++) log.warn({ index }, 'Garbage');
  log.info({}, 'Other');
  upMs = 1000;
  log.warn({ index: 100 }, 'Garbage');
  const said = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    said.map(({ msg, index, suppressed }) => [msg, index, suppressed]),
    [
      ['Garbage', 0, undefined],
      ['Garbage', 1, undefined],
      ['Other', undefined, undefined],
      ['Garbage', 100, 98],
    ],
  );
});
