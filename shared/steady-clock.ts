import type { Clock } from './clock.ts';

/**
 * The time in the course of one interruption. The deadline is an instant of the wall clock, so a step forward counts; a step back does
 * not give time that is not there, because the end was near by another clock already. It begins anew with each interruption, so that a wall
 * clock that was once far ahead is believed again.
 */
export function steadyClock(clock: Clock, monotonicMs: () => number): Clock {
  const aheadMs = clock.now() - monotonicMs();
  return {
    now: () => Math.max(clock.now(), Math.floor(monotonicMs() + aheadMs)),
    sleep: (ms, signal) => clock.sleep(ms, signal),
  };
}
