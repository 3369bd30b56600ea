import type { Interruption, Notice } from '../../shared/interruption/interruption.ts';
import { isStricter, type Policy } from './policy.ts';

/** What one look at the metadata service brought. */
export interface Observation {
  /** Everything that is announced now. */
  readonly notices: readonly Notice[];
  /** Whether every source answered. Otherwise a notice that is missing may only have been out of sight. */
  readonly isComplete: boolean;
}

export interface Tracked {
  readonly interruption: Interruption | undefined;
  /** Complete looks in a row in which the interruption's notice was absent. */
  readonly absences: number;
}

export type Change =
  | { readonly kind: 'none' }
  | { readonly kind: 'begun'; readonly interruption: Interruption }
  /** The same interruption with another deadline or action, or a stricter one in its place: the work under way goes on. */
  | { readonly kind: 'changed'; readonly interruption: Interruption; readonly before: Interruption }
  | { readonly kind: 'cancelled'; readonly interruption: Interruption };

export const nothingTracked: Tracked = { interruption: undefined, absences: 0 };

/** A notice counts as withdrawn after this many looks without it: one stray 404 must not call off a drain. */
export const absencesUntilCancelled = 3;

/**
 * Folds one observation into what is tracked. The same notice seen a thousand times is one interruption; an incomplete look
 * proves nothing absent.
 */
export function trackInterruption(
  { interruption, absences }: Tracked,
  observation: Observation,
  policy: Policy,
  nowMs: number,
): { readonly tracked: Tracked; readonly change: Change } {
  const notice = mostPressing(observation.notices, policy);
  if (interruption === undefined) {
    if (notice === undefined) return { tracked: nothingTracked, change: { kind: 'none' } };
    const begun = { ...notice, firstSeenMs: nowMs };
    return { tracked: { interruption: begun, absences: 0 }, change: { kind: 'begun', interruption: begun } };
  }
  const same = observation.notices.find(({ id }) => id === interruption.id);
  const next =
    notice !== undefined && notice.id !== interruption.id && replaces(notice, interruption, policy) ? notice : same;
  if (next === undefined) return countAbsence({ interruption, absences }, observation, notice, nowMs);
  const firstSeenMs = next.id === interruption.id ? interruption.firstSeenMs : nowMs;
  const renewed = { ...next, firstSeenMs };
  const isSame =
    next.id === interruption.id && next.action === interruption.action && next.deadlineMs === interruption.deadlineMs;
  if (isSame) return { tracked: { interruption, absences: 0 }, change: { kind: 'none' } };
  return {
    tracked: { interruption: renewed, absences: 0 },
    change: { kind: 'changed', interruption: renewed, before: interruption },
  };
}

function countAbsence(
  { interruption, absences }: { readonly interruption: Interruption; readonly absences: number },
  { isComplete }: Observation,
  other: Notice | undefined,
  nowMs: number,
): { readonly tracked: Tracked; readonly change: Change } {
  if (!isComplete) return { tracked: { interruption, absences }, change: { kind: 'none' } };
  if (absences + 1 < absencesUntilCancelled)
    return { tracked: { interruption, absences: absences + 1 }, change: { kind: 'none' } };
  if (other === undefined) return { tracked: nothingTracked, change: { kind: 'cancelled', interruption } };
  const milder = { ...other, firstSeenMs: nowMs };
  return {
    tracked: { interruption: milder, absences: 0 },
    change: { kind: 'changed', interruption: milder, before: interruption },
  };
}

function mostPressing(notices: readonly Notice[], policy: Policy): Notice | undefined {
  let pressing: Notice | undefined;
  for (const notice of notices) {
    if (policy[notice.kind] === 'ignore') continue;
    if (pressing === undefined || replaces(notice, pressing, policy)) pressing = notice;
  }
  return pressing;
}

/** A stricter response wins; of two alike, the sooner deadline. */
function replaces(candidate: Notice, current: Notice, policy: Policy): boolean {
  if (isStricter(policy[candidate.kind], policy[current.kind])) return true;
  if (isStricter(policy[current.kind], policy[candidate.kind])) return false;
  return (candidate.deadlineMs ?? Number.POSITIVE_INFINITY) < (current.deadlineMs ?? Number.POSITIVE_INFINITY);
}
