import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Clock } from '../../../shared/clock.ts';
import { keepChecking } from '../../../wrapper/keep-checking.ts';
import type { LifeEvent } from '../../../wrapper/life/lifecycle.ts';

/** Time that passes as fast as somebody sleeps; it stops everything at its end. */
function fastClock(endMs: number, stop: AbortController): Clock {
  let nowMs = 0;
  return {
    now: () => nowMs,
    sleep: async (ms) => {
      nowMs += ms;
      if (nowMs >= endMs) stop.abort();
      stop.signal.throwIfAborted();
    },
  };
}

/** Checks a game that is well or ill as `problemAt` says; resolves with what was said, and when. */
async function check(
  problemAt: (nowMs: number) => string | undefined,
  endMs: number,
  livenessMs: number | undefined = 9000,
) {
  const stop = new AbortController();
  const clock = fastClock(endMs, stop);
  const said: [number, LifeEvent][] = [];
  const push = (lifeEvent: LifeEvent) => said.push([Math.round(clock.now()), lifeEvent]);
  const times = { readyTimeoutMs: 60_000, livenessMs };
  await keepChecking(
    async () => problemAt(clock.now()),
    times,
    { clock, random: () => 0.5, upMs: clock.now, push },
    stop.signal,
  ).catch(() => {});
  return said;
}

const kinds = (said: readonly [number, LifeEvent][]) => said.map(([, { kind }]) => kind);

suite('A game that is checked', () => {
  test('is ready soon after it is', async () => {
    const said = await check((now) => (now < 3000 ? 'not bound' : undefined), 30_000);
    assert.deepEqual(kinds(said), ['game-ready']);
    assert.ok((said[0]?.[0] ?? 0) <= 3250);
  });

  test('is not ready when its time is over', async () => {
    const said = await check(() => 'not bound', 1_000_000);
    assert.deepEqual(said[0]?.[1], { kind: 'game-not-ready', missing: 'not bound' });
    assert.ok((said[0]?.[0] ?? 0) <= 60_300);
  });

  test('is not ready, and ill later, where the check itself fails', async () => {
    const fail = () => {
      throw new Error('too many links');
    };
    assert.deepEqual((await check(fail, 1_000_000))[0]?.[1], { kind: 'game-not-ready', missing: 'too many links' });
    const said = await check((now) => (now > 50_000 ? fail() : undefined), 150_000);
    assert.deepEqual(said[1]?.[1], { kind: 'health-checked', problem: 'too many links' });
  });

  test('has the same time to become ready when somebody sets the clock', async () => {
    const stop = new AbortController();
    const clock = fastClock(1_000_000, stop);
    const stepped: Clock = { ...clock, now: () => clock.now() + (clock.now() > 1000 ? 3_600_000 : 0) };
    const said: number[] = [];
    const push = () => said.push(clock.now());
    const context = { clock: stepped, random: () => 0.5, upMs: clock.now, push };
    await keepChecking(
      async () => 'not bound',
      { readyTimeoutMs: 60_000, livenessMs: undefined },
      context,
      stop.signal,
    );
    assert.ok((said[0] ?? 0) >= 60_000);
  });

  test('is ill after three failures in a row, within about two periods, and well again after one success', async () => {
    const said = await check((now) => (now > 50_000 && now < 100_000 ? 'gone' : undefined), 150_000);
    assert.deepEqual(said.map(([, lifeEvent]) => lifeEvent).slice(1), [
      { kind: 'health-checked', problem: 'gone' },
      { kind: 'health-checked', problem: undefined },
    ]);
    assert.ok((said[1]?.[0] ?? 0) <= 50_000 + 2 * 9000);
  });

  test('is not ill for losing its port for a moment', async () => {
    const said = await check((now) => (now > 45_000 && now < 50_000 ? 'gone' : undefined), 150_000);
    assert.deepEqual(kinds(said), ['game-ready']);
  });

  test('is left alone after it is ready where liveness is off', async () => {
    const stop = new AbortController();
    const said: LifeEvent[] = [];
    const clock = fastClock(1e6, stop);
    const context = {
      clock,
      upMs: clock.now,
      random: () => 0.5,
      push: (lifeEvent: LifeEvent) => said.push(lifeEvent),
    };
    let checks = 0;
    const count = async () => {
      checks++;
      return undefined;
    };
    await keepChecking(count, { readyTimeoutMs: 60_000, livenessMs: undefined }, context, stop.signal);
    assert.deepEqual([checks, said.length], [1, 1]);
  });
});
