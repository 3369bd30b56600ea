import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { splitCommand } from '../../../../sandbox/demo/split-command.ts';

const cases: ReadonlyArray<readonly [string, readonly string[] | undefined]> = [
  ['', []],
  ['  server   -p 1 ', ['server', '-p', '1']],
  ['srv "sv_port {SERVER_PORT}"', ['srv', 'sv_port {SERVER_PORT}']],
  ['srv \'a "b"\' c', ['srv', 'a "b"', 'c']],
  ['a\\ b c', ['a b', 'c']],
  ['"a \\" b"', ['a " b']],
  ["a''b ''", ['ab', '']],
  ['unclosed "quote', undefined],
];

for (const [text, expected] of cases)
  test(`${JSON.stringify(text)} is ${expected?.length ?? 'no'} words`, () =>
    assert.deepEqual(splitCommand(text), expected));

test('what is quoted comes out as it went in', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (words) => {
      const quoted = words.map((word) => `"${word.replace(/["\\]/g, '\\$&')}"`).join(' ');
      assert.deepEqual(splitCommand(quoted), words);
    }),
  );
});
