import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { suite, test } from 'node:test';
import { systemClock } from '../../../shared/clock.ts';

suite('The system clock', () => {
  test('sleeps, and leaves nothing behind on the signal', async () => {
    const { signal } = new AbortController();
    const before = performance.now();
    await systemClock.sleep(20, signal);
    assert.ok(performance.now() - before >= 19);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  test('wakes with the reason when the signal aborts', async () => {
    const stop = new AbortController();
    const sleeping = systemClock.sleep(3_600_000, stop.signal);
    stop.abort(new Error('enough'));
    await assert.rejects(sleeping, /enough/);
    assert.equal(getEventListeners(stop.signal, 'abort').length, 0);
  });

  test('does not begin where the signal has aborted before', async () => {
    await assert.rejects(systemClock.sleep(3_600_000, AbortSignal.abort()), { name: 'AbortError' });
  });

  test('takes times that no timer of Node takes', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let isAwake = false;
    void systemClock.sleep(1e15).then(() => {
      isAwake = true;
    });
    t.mock.timers.tick(1000);
    await Promise.resolve();
    assert.equal(isAwake, false);
    await Promise.all([systemClock.sleep(-5), t.mock.timers.tick(1)]);
  });
});
