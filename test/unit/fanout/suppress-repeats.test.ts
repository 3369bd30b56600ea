import assert from 'node:assert/strict';
import { test } from 'node:test';
import { suppressRepeats } from '../../../fanout/operations/suppress-repeats.ts';

function start() {
  const told: string[] = [];
  const at = { ms: 0 };
  const tell = suppressRepeats(
    ({ message }) => told.push(message),
    () => at.ms,
  );
  return { told, at, tell: (message: string) => tell(new Error(message)) };
}

test('a repeated error is reported every ten seconds', () => {
  const { told, at, tell } = start();
  for (; at.ms < 25_000; at.ms += 10) tell('no way there');
  assert.equal(told.length, 3);
});

test('a different error is reported at once', () => {
  const { told, tell } = start();
  for (const message of ['one', 'two', 'one', 'two']) tell(message);
  assert.deepEqual(told, ['one', 'two']);
});

test('the number of remembered messages is bounded', () => {
  const { told, tell } = start();
  tell('first');
  for (let number = 0; number < 100; number++) tell(String(number));
  tell('first');
  assert.equal(told.filter((message) => message === 'first').length, 2);
});
