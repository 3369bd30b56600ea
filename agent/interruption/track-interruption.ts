import type { InterruptionKind, Notice } from '../../shared/interruption/interruption.ts';
import { outranks, type PlannedInterruption, type Policy, planInterruption } from './policy.ts';

/** The result of one poll of all notice sources. */
export interface Observation {
  /** All current notices. */
  readonly notices: readonly Notice[];
  /** Kinds whose sources were read in this poll. Only for these kinds does a missing notice count as absent. */
  readonly seen: ReadonlySet<InterruptionKind>;
  /** Kinds whose sources were unreadable at the last attempt. */
  readonly blindTo: ReadonlySet<InterruptionKind>;
}

/*
 *            a notice                        the notice is gone for three polls
 *   quiet ──────────────▶ answered ──────────────────────────────────────────────────────▶ quiet
 *     │                      ▲   ▲ │ other deadline, action, response; a notice that outranks it
 *     │ the node is marked   │   └─┘
 *     ▼                      │ the notice is there, or unreadable with its deadline ahead
 *   remembered ──────────────┘
 *     │ the notice is gone for three polls: undo the earlier agent's changes
 *     └──────────────▶ quiet
 */
export type Tracked =
  | { readonly state: 'quiet' }
  /** An earlier agent marked the node. Whether the mark is still valid is unknown, so the agent does nothing yet. */
  | { readonly state: 'remembered'; readonly interruption: PlannedInterruption; readonly absences: number }
  /** `absences`: consecutive polls without the notice. */
  | { readonly state: 'answered'; readonly interruption: PlannedInterruption; readonly absences: number };

export type Change =
  | { readonly kind: 'none' }
  /** `isResumed`: an earlier agent began it. */
  | { readonly kind: 'begun'; readonly interruption: PlannedInterruption; readonly isResumed: boolean }
  /**
   * A new deadline, action or response, or an interruption that outranks and replaces it. Work in progress continues.
   */
  | { readonly kind: 'changed'; readonly interruption: PlannedInterruption; readonly before: PlannedInterruption }
  | { readonly kind: 'cancelled'; readonly interruption: PlannedInterruption };

export interface Tracking {
  readonly tracked: Tracked;
  readonly change: Change;
}

export const nothingTracked: Tracked = { state: 'quiet' };

/** A notice counts as withdrawn after this many polls without it, so that one stray 404 does not cancel a drain. */
export const absencesUntilCancelled = 3;

/** Applies one poll to the tracked state. However often the same notice is seen, it is one interruption. */
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
 * A mark this old belongs to an interruption that is over: a stopped instance can be started, and interrupted again.
 */
const maxOverMs = 600_000;

function isAnother(notice: Notice, { deadlineMs: knownMs }: PlannedInterruption, nowMs: number): boolean {
  const isOver = knownMs !== undefined && knownMs < nowMs - maxOverMs;
  return notice.kind === 'spot-termination' && isOver && (notice.deadlineMs ?? 0) > nowMs;
}

/**
 * EC2 never gives a spot instance more time than first announced. Until the known deadline has passed, ignore a later
 * one as an error.
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
 * An instance is taken only once, so these kinds are equal whatever their IDs. The IDs differ if the metadata service
 * could name the instance to one agent and not to the next.
 */
const oncePerInstance: ReadonlySet<InterruptionKind> = new Set(['spot-termination', 'rebalance', 'asg-termination']);

function isSame(a: Notice, b: Notice): boolean {
  return a.id === b.id || (a.kind === b.kind && oncePerInstance.has(a.kind));
}

/** `current` stays unless another one outranks it. Of two equals, the current one stays. */
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
