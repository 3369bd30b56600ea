import type { Clock } from './clock.ts';

/**
 * Time during one interruption. A forward step of the wall clock counts, because the deadline is an instant of it. A
 * step back does not count, because it would add time that does not exist. It starts anew with each interruption, so
 * that a wall clock that was once far ahead is trusted again.
 */
export function steadyClock(clock: Clock, monotonicMs: () => number): Clock {
  const aheadMs = clock.now() - monotonicMs();
  return {
    now: () => Math.max(clock.now(), Math.floor(monotonicMs() + aheadMs)),
    sleep: (ms, signal) => clock.sleep(ms, signal),
  };
}
