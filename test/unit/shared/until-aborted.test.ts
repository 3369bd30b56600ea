import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { untilAborted } from '../../../shared/until-aborted.ts';

test('work that ends first decides, and leaves no listener behind', async () => {
  const { signal } = new AbortController();
  assert.equal(await untilAborted(Promise.resolve(7), signal), 7);
  await assert.rejects(untilAborted(Promise.reject(new Error('x')), signal), { message: 'x' });
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('a signal that aborts first rejects with its reason, and what becomes of the work harms nobody', async () => {
  const leave = new AbortController();
  const work = Promise.withResolvers<number>();
  const waited = untilAborted(work.promise, leave.signal);
  leave.abort(new Error('enough'));
  await assert.rejects(waited, { message: 'enough' });
  work.reject(new Error('too late'));
  // An unhandled rejection would fail this test file.
  await new Promise((resolve) => setImmediate(resolve));
});

test('a signal that has aborted already rejects at once', async () => {
  await assert.rejects(untilAborted(new Promise(() => {}), AbortSignal.abort(new Error('before'))), {
    message: 'before',
  });
});

test('without a signal only the work counts', async () => {
  assert.equal(await untilAborted(Promise.resolve(7), undefined), 7);
});
