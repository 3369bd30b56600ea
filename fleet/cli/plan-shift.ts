import type { Fleet } from '../cluster/fleet.ts';

export interface ShiftGoal {
  /** Warm game servers of both fleets together; constant during the shift. */
  readonly sum: number;
  /** Warm game servers that move at a time. */
  readonly step: number;
  /** The new fleet's final number of warm game servers. */
  readonly target: number;
}

export type ShiftStep =
  | { readonly kind: 'raise'; readonly replicas: number }
  | { readonly kind: 'wait'; readonly ready: number; readonly replicas: number }
  | { readonly kind: 'lower'; readonly replicas: number }
  | { readonly kind: 'done' };

/**
 * The next step of moving warm game servers from one fleet to another: raise the new one, wait until that many are
 * ready, lower the old one. Decided from the present state, so that an interrupted shift continues.
 */
export function planShift(from: Fleet, to: Fleet, { sum, step, target }: ShiftGoal): ShiftStep {
  const [warmFrom, warmTo] = [warmOf(from), warmOf(to)];
  const wantedFrom = Math.max(0, sum - warmTo);
  if (warmFrom > wantedFrom) {
    const isUp = to.isObserved && to.readyReplicas >= to.replicas;
    return isUp
      ? { kind: 'lower', replicas: wantedFrom }
      : { kind: 'wait', ready: to.readyReplicas, replicas: to.replicas };
  }
  if (warmTo >= target) return { kind: 'done' };
  return { kind: 'raise', replicas: Math.min(target, warmTo + step) };
}

/** The wanted number of warm game servers, before the fleet's maximum limits it. */
export function warmOf({ max, warm, replicas }: Fleet): number {
  return max === undefined ? replicas : (warm ?? replicas);
}

/** `step` and `until`: shares of the sum, from above 0 to 1. */
export function shiftGoal(sum: number, step: number, until: number): ShiftGoal {
  return { sum, step: Math.max(1, Math.ceil(sum * step)), target: Math.round(sum * until) };
}
