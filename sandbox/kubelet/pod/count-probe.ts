import type { Probe } from './pod.ts';

export interface ProbeCount {
  ready: boolean;
  /** Equal results in a row so far. */
  streak: number;
  lastOk: boolean | undefined;
}

export const unprobed: ProbeCount = { ready: false, streak: 0, lastOk: undefined };

/**
 * A container becomes ready after `successThreshold` successes in a row, and unready after `failureThreshold` failures.
 */
export function countProbe(count: ProbeCount, ok: boolean, probe: Probe): ProbeCount {
  const streak = count.lastOk === ok ? count.streak + 1 : 1;
  const needed = ok ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3);
  return { ready: streak >= needed ? ok : count.ready, streak, lastOk: ok };
}
