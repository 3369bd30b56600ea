import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { Clock } from '../../../shared/clock.ts';
import { backoffMs, RetryPause, retry } from '../../../shared/retry.ts';

const backoff = { firstMs: 100, maxMs: 5000 };

test('the longest wait doubles with each failure up to the limit, and the shortest is half of it', () => {
  const longest = (failures: number): number => backoffMs(backoff, failures, () => 1);
  const shortest = (failures: number): number => backoffMs(backoff, failures, () => 0);
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7, 8].map(longest), [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7, 8].map(shortest), [50, 100, 200, 400, 800, 1600, 2500, 2500]);
});

test('a wait stays within its limits after any number of failures', () => {
  const failures = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(failures, fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (count, random) => {
      const ms = backoffMs(backoff, count, () => random);
      assert.ok(ms >= 50 && ms <= 5000, `${ms} ms after ${count} failures`);
    }),
  );
});

/** A clock that sleeps no time and keeps the pauses that were asked for. */
function countedClock(): { readonly clock: Clock; readonly pausesMs: number[] } {
  const pausesMs: number[] = [];
  const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    pausesMs.push(ms);
    signal?.throwIfAborted();
  };
  return { clock: { now: () => 0, sleep }, pausesMs };
}

suite('A retry pause', () => {
  test('grows with each failure until there is progress', async () => {
    const { clock, pausesMs } = countedClock();
    const { signal } = new AbortController();
    const pause = new RetryPause({ backoff, clock, random: () => 1 });
    for (const isProgress of [false, false, true, false]) {
      if (isProgress) pause.progressed();
      pause.failed();
      await pause.wait(signal);
    }
    assert.deepEqual(pausesMs, [100, 200, 100, 200]);
    assert.equal(pause.failures, 2);
  });

  test('is no shorter than a server asks for, and takes another backoff for once', async () => {
    const { clock, pausesMs } = countedClock();
    const { signal } = new AbortController();
    const pause = new RetryPause({ backoff, clock, random: () => 1 });
    pause.failed();
    await pause.wait(signal, { atLeastMs: 700 });
    await pause.wait(signal, { atLeastMs: 7 });
    await pause.wait(signal, { backoff: { firstMs: 20, maxMs: 20 } });
    assert.deepEqual(pausesMs, [700, 100, 20]);
  });

  test('ends without an error when the signal aborts', async () => {
    const { clock } = countedClock();
    await new RetryPause({ backoff, clock }).wait(AbortSignal.abort());
  });
});

suite('retry', () => {
  const fail = (error: unknown = new Error('down')) => {
    throw error;
  };

  test('calls until it succeeds, and reports each failure', async () => {
    const { clock, pausesMs } = countedClock();
    const reported: number[] = [];
    let calls = 0;
    const result = await retry(
      () => (++calls < 4 ? fail() : 'up'),
      { backoff, clock, random: () => 1, onFailure: (_, failures) => reported.push(failures) },
      new AbortController().signal,
    );
    assert.equal(result, 'up');
    assert.deepEqual(reported, [1, 2, 3]);
    assert.deepEqual(pausesMs, [100, 200, 400]);
  });

  test('gives up after the maximum of attempts, without another pause', async () => {
    const { clock, pausesMs } = countedClock();
    const { signal } = new AbortController();
    await assert.rejects(
      retry(() => fail(), { backoff, clock, random: () => 1, maxAttempts: 3 }, signal),
      /down/,
    );
    assert.deepEqual(pausesMs, [100, 200]);
  });

  test('progress gives it all its attempts and the first pause again', async () => {
    const { clock, pausesMs } = countedClock();
    let calls = 0;
    const attempt = (progressed: () => void) => {
      if (++calls === 3) progressed();
      fail();
    };
    const { signal } = new AbortController();
    await assert.rejects(retry(attempt, { backoff, clock, random: () => 1, maxAttempts: 3 }, signal), /down/);
    assert.equal(calls, 5);
    assert.deepEqual(pausesMs, [100, 200, 100, 200]);
  });

  test('does not repeat what can only fail again', async () => {
    const { clock, pausesMs } = countedClock();
    const refused = new Error('refused');
    const isFinal = (error: unknown) => error === refused;
    const { signal } = new AbortController();
    await assert.rejects(
      retry(() => fail(refused), { backoff, clock, isFinal }, signal),
      refused,
    );
    assert.deepEqual(pausesMs, []);
  });

  test("rejects with the signal's reason when it aborts, whatever the attempt says", async () => {
    const { clock } = countedClock();
    const stop = new AbortController();
    const attempt = () => {
      stop.abort(new Error('enough'));
      fail();
    };
    await assert.rejects(retry(attempt, { backoff, clock }, stop.signal), /enough/);
    await assert.rejects(
      retry(() => 'never called', { backoff, clock }, stop.signal),
      /enough/,
    );
  });
});
