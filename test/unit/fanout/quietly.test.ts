import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quietly } from '../../../fanout/operations/quietly.ts';

function start() {
  const told: string[] = [];
  const at = { ms: 0 };
  const tell = quietly(
    ({ message }) => told.push(message),
    () => at.ms,
  );
  return { told, at, tell: (message: string) => tell(new Error(message)) };
}

test('an error that comes again and again is told every ten seconds', () => {
  const { told, at, tell } = start();
  for (; at.ms < 25_000; at.ms += 10) tell('no way there');
  assert.equal(told.length, 3);
});

test('an error that is another one is told at once', () => {
  const { told, tell } = start();
  for (const message of ['one', 'two', 'one', 'two']) tell(message);
  assert.deepEqual(told, ['one', 'two']);
});

test('what is remembered is bounded', () => {
  const { told, tell } = start();
  tell('first');
  for (let number = 0; number < 100; number++) tell(String(number));
  tell('first');
  assert.equal(told.filter((message) => message === 'first').length, 2);
});
