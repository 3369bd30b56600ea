import type { InterruptionKind, Notice } from '../../shared/interruption/interruption.ts';
import { outranks, type PlannedInterruption, type Policy, planInterruption } from './policy.ts';

/** What one look at everything that announces interruptions brought. */
export interface Observation {
  /** Everything that is announced now. */
  readonly notices: readonly Notice[];
  /** Kinds whose sources were read in this look: only a notice of theirs that is missing is absent. */
  readonly seen: ReadonlySet<InterruptionKind>;
  /** Kinds whose sources could not be read when they were last tried. */
  readonly blindTo: ReadonlySet<InterruptionKind>;
}

/*
 *            a notice                        the notice is gone, three looks in a row
 *   quiet ──────────────▶ answered ──────────────────────────────────────────────────────▶ quiet
 *     │                      ▲   ▲ │ other deadline, action, response; a notice that outranks it
 *     │ the node is marked   │   └─┘
 *     ▼                      │ the notice is there, or cannot be looked for and its deadline is ahead
 *   remembered ──────────────┘
 *     │ the notice is gone, three looks in a row: what an agent before us did is undone
 *     └──────────────▶ quiet
 */
export type Tracked =
  | { readonly state: 'quiet' }
  /** An agent before us marked the node; whether that still holds is not known yet, and nothing is done. */
  | { readonly state: 'remembered'; readonly interruption: PlannedInterruption; readonly absences: number }
  /** `absences`: looks in a row in which the notice was not there. */
  | { readonly state: 'answered'; readonly interruption: PlannedInterruption; readonly absences: number };

export type Change =
  | { readonly kind: 'none' }
  /** `isResumed`: an agent before us began it. */
  | { readonly kind: 'begun'; readonly interruption: PlannedInterruption; readonly isResumed: boolean }
  /**
   * Another deadline, action or response, or an interruption that outranks it in its place: the work under way goes on.
   */
  | { readonly kind: 'changed'; readonly interruption: PlannedInterruption; readonly before: PlannedInterruption }
  | { readonly kind: 'cancelled'; readonly interruption: PlannedInterruption };

export interface Tracking {
  readonly tracked: Tracked;
  readonly change: Change;
}

export const nothingTracked: Tracked = { state: 'quiet' };

/** A notice counts as withdrawn after this many looks without it: one stray 404 must not call off a drain. */
export const absencesUntilCancelled = 3;

/** Folds one look into what is tracked. The same notice seen a thousand times is one interruption. */
export function trackInterruption(tracked: Tracked, observation: Observation, policy: Policy, nowMs: number): Tracking {
  const announced = planAll(tracked, observation.notices, policy, nowMs);
  if (tracked.state === 'quiet') {
    const pressing = mostPressing(announced);
    return pressing === undefined ? unchanged(tracked) : begun(pressing, false);
  }
  const { interruption } = tracked;
  const same = announced.find(({ id }) => id === interruption.id);
  const pressing = mostPressing(announced, same ?? interruption);
  if (pressing === interruption) return countAbsence(tracked, announced, observation, nowMs);
  if (tracked.state === 'remembered') return begun(pressing, pressing.id === interruption.id);
  if (isEqual(pressing, interruption)) return unchanged({ state: 'answered', interruption, absences: 0 });
  return changed(pressing, interruption);
}

function planAll(
  tracked: Tracked,
  notices: readonly Notice[],
  policy: Policy,
  nowMs: number,
): readonly PlannedInterruption[] {
  const known = tracked.state === 'quiet' ? undefined : tracked.interruption;
  const planned = notices.map((notice) =>
    known !== undefined && isSame(notice, known)
      ? planInterruption(
          withKnown(notice, known, nowMs),
          isAnother(notice, known, nowMs) ? nowMs : known.firstSeenMs,
          policy,
          nowMs,
        )
      : planInterruption(notice, nowMs, policy, nowMs),
  );
  return planned.filter(({ response }) => response !== 'ignore');
}

/**
 * The mark of an interruption that ended so long ago may still stand on the node: an instance that was stopped can be
 * started, and taken again.
 */
const maxOverMs = 600_000;

function isAnother(notice: Notice, { deadlineMs: knownMs }: PlannedInterruption, nowMs: number): boolean {
  const isOver = knownMs !== undefined && knownMs < nowMs - maxOverMs;
  return notice.kind === 'spot-termination' && isOver && (notice.deadlineMs ?? 0) > nowMs;
}

/**
 * EC2 never gives a spot instance more time than it first said: while that time runs, a later instant is somebody's
 * mistake.
 */
function withKnown(notice: Notice, { id, deadlineMs: knownMs }: PlannedInterruption, nowMs: number): Notice {
  const isReprieve =
    notice.kind === 'spot-termination' &&
    knownMs !== undefined &&
    knownMs > nowMs &&
    knownMs < (notice.deadlineMs ?? Number.POSITIVE_INFINITY);
  return { ...notice, id, deadlineMs: isReprieve ? knownMs : notice.deadlineMs };
}

/**
 * An instance is taken only once, so these kinds need no more than their kind. Their ids differ where the metadata
 * service could tell the instance's name to one agent and not to the next.
 */
const oncePerInstance: ReadonlySet<InterruptionKind> = new Set(['spot-termination', 'rebalance', 'asg-termination']);

function isSame(a: Notice, b: Notice): boolean {
  return a.id === b.id || (a.kind === b.kind && oncePerInstance.has(a.kind));
}

/** `current` stays unless another one outranks it: of two alike, the one at hand is not given up. */
function mostPressing<Current extends PlannedInterruption | undefined>(
  announced: readonly PlannedInterruption[],
  current?: Current,
): PlannedInterruption | Current {
  let pressing: PlannedInterruption | undefined = current;
  for (const candidate of announced) if (pressing === undefined || outranks(candidate, pressing)) pressing = candidate;
  return pressing as PlannedInterruption | Current;
}

function countAbsence(
  tracked: Exclude<Tracked, { state: 'quiet' }>,
  announced: readonly PlannedInterruption[],
  { seen, blindTo }: Observation,
  nowMs: number,
): Tracking {
  const { interruption } = tracked;
  if (!seen.has(interruption.kind)) {
    const isAhead = (interruption.deadlineMs ?? Number.POSITIVE_INFINITY) > nowMs;
    const isBlind = blindTo.has(interruption.kind);
    const mustAct = tracked.state === 'remembered' && tracked.absences === 0 && isBlind && isAhead;
    return mustAct ? begun(interruption, true) : unchanged(tracked);
  }
  const absences = tracked.absences + 1;
  if (absences < absencesUntilCancelled) return unchanged({ ...tracked, absences });
  const other = mostPressing(announced);
  if (other === undefined) return { tracked: nothingTracked, change: { kind: 'cancelled', interruption } };
  return tracked.state === 'remembered' ? begun(other, false) : changed(other, interruption);
}

function unchanged(tracked: Tracked): Tracking {
  return { tracked, change: { kind: 'none' } };
}

function begun(interruption: PlannedInterruption, isResumed: boolean): Tracking {
  return {
    tracked: { state: 'answered', interruption, absences: 0 },
    change: { kind: 'begun', interruption, isResumed },
  };
}

function changed(interruption: PlannedInterruption, before: PlannedInterruption): Tracking {
  return {
    tracked: { state: 'answered', interruption, absences: 0 },
    change: { kind: 'changed', interruption, before },
  };
}

function isEqual(a: PlannedInterruption, b: PlannedInterruption): boolean {
  return a.id === b.id && a.action === b.action && a.deadlineMs === b.deadlineMs && a.response === b.response;
}
