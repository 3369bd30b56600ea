import type { Occupancy } from '../../shared/link/link-message.ts';
import type { PodView } from './pod.ts';
import { isGameServer, tierOf } from './pod-filters.ts';

/** How the drain has fared with one pod so far. */
export interface PodAttempt {
  /** A call about it is under way. */
  readonly isInFlight: boolean;
  /** Evictions that a budget refused. */
  readonly refusals: number;
  /** Calls that somebody else refused: a webhook, a policy. */
  readonly objections: number;
  /** Calls without an answer. They say nothing about the pod: it is still asked politely. */
  readonly failures: number;
  /** Calls for which the server was too busy. */
  readonly shed: number;
  /** Evictions that were accepted. Where the pod is not going afterwards, they had no effect. */
  readonly accepted: number;
  /** Not to be evicted again before, unless only its grace is left: epoch milliseconds. */
  readonly evictAfterMs: number;
  /** Not to be touched before, whatever is left: its last call was accepted, or another one just failed. */
  readonly untouchedUntilMs: number;
}

export type Step =
  | { readonly kind: 'evict'; readonly pod: PodView; readonly gracePeriodSeconds: number }
  | { readonly kind: 'delete'; readonly pod: PodView; readonly gracePeriodSeconds: number; readonly why: DeleteReason };

/**
 * `finished`: nothing of it runs. `budget`: a budget refuses its eviction, and only its own grace period is left.
 * `refused`: the same where somebody else refuses, such as a webhook. `no-effect`: its eviction was accepted, and it
 * stays. `late`: there is no time to ask first. `outlives`: it is going already, but later than the node.
 */
export type DeleteReason = 'finished' | 'budget' | 'refused' | 'no-effect' | 'late' | 'outlives';

export interface DrainPlan {
  /** What to do now, the most pressing first. */
  readonly steps: readonly Step[];
  /** When to plan again even if nothing changes: epoch milliseconds. */
  readonly nextMs: number;
}

export interface DrainState {
  /** The pods to be moved; spared ones are not among them. */
  readonly pods: readonly PodView[];
  readonly attempts: ReadonlyMap<string, PodAttempt>;
  /** By pod uid, where it is known. */
  readonly occupancies: ReadonlyMap<string, Occupancy>;
  /**
   * By when every pod has ended: the deadline less the safety margin, epoch milliseconds; infinite where nobody has to
   * go yet.
   */
  readonly endByMs: number;
  readonly nowMs: number;
  /** Whether we have the right to delete. Without it budgets are asked to the very end. */
  readonly mayDelete: boolean;
  /**
   * Whether the node can still be given new pods, which evicted pods' replacements would be: then nobody is evicted.
   */
  readonly isAwaitingCordon?: boolean;
}

/** The API server takes a grace period of 0 as "forget the pod", while its processes may live on: at least 1. */
const minGraceSeconds = 1;

/**
 * What the rounding of a grace (see `allSeconds`) and the API server's clock may add: a pod no more than this over the
 * end is not worth a call.
 */
const outlivesByMs = 2000;

/** With less time than this there is none left to ask a budget first. */
const minAskMs = 2000;

/** An instance that lives on so long after the announced instant is not taken then. */
const longPastMs = 30_000;

/** A server that was too busy for one pod so often refuses it, whatever it calls that. */
const minShed = 3;

/** Evict last-tier pods no later than this, even if their grace is shorter, so that budgets still get a say. */
const lateTierMs = 5000;

/**
 * Occupied game servers are left alone to the end, so their calls come all at once: each gets so long, as a slow API
 * server needs it.
 */
const occupiedCallMs = 250;

/** Longer pauses than any that a drain asks for are the work of a clock that was set back: nobody waits for them. */
const maxWaitMs = 15_000;

/** Clocks step and watches stall, so the plan is made anew at least this often. */
const maxPauseMs = 1000;

/**
 * Decides the next steps from nothing but the present state, so that a moved deadline, a pod that came or went and a
 * restarted agent need no special case. A pod is evicted while a budget may still agree, and deleted once only its own
 * grace is left.
 */
export function planDrain(state: DrainState): DrainPlan {
  const { pods, attempts, occupancies, nowMs, mayDelete, isAwaitingCordon = false } = state;
  const endByMs = nowMs > state.endByMs + longPastMs ? Number.POSITIVE_INFINITY : state.endByMs;
  const isOccupied = ({ uid }: PodView) => occupancies.get(uid) === 'occupied';
  const occupiedLeadMs = pods.filter(isOccupied).length * occupiedCallMs;
  const openTier = Math.min(...pods.filter(({ isFinished }) => !isFinished).map(tierOf));
  const opensMs = (pod: PodView) => {
    const lateMs = endByMs - lateTierMs;
    if (tierOf(pod) > openTier) return lateMs;
    return isOccupied(pod) ? Math.min(lateMs, escalationMs(pod, endByMs)) - occupiedLeadMs : 0;
  };
  const steps: Step[] = [];
  let nextMs = nowMs + maxPauseMs;
  for (const pod of pods) {
    const attempt = attempts.get(pod.uid) ?? untried;
    if (attempt.isInFlight) continue;
    const desired = nextStep(pod, attempt, endByMs, nowMs);
    if (desired === undefined) continue;
    // An eviction also removes a finished pod, and shortens one that is going already.
    const step: Step = mayDelete ? desired : { kind: 'evict', pod, gracePeriodSeconds: desired.gracePeriodSeconds };
    if (isAwaitingCordon && step.kind === 'evict') continue;
    const latestMs = mayDelete ? escalationMs(pod, endByMs) : Number.POSITIVE_INFINITY;
    const dueMs = whenDue(step, believable(attempt, nowMs), opensMs(pod), latestMs);
    if (dueMs <= nowMs) steps.push(step);
    else nextMs = Math.min(nextMs, dueMs);
  }
  return { steps: steps.sort(byUrgency(state)), nextMs };
}

export const untried: PodAttempt = {
  isInFlight: false,
  refusals: 0,
  objections: 0,
  failures: 0,
  shed: 0,
  accepted: 0,
  evictAfterMs: 0,
  untouchedUntilMs: 0,
};

/** Whether its last call was accepted a while ago, and yet it is not going. */
export function isWithoutEffect(
  { goneByMs }: PodView,
  { accepted, untouchedUntilMs }: PodAttempt,
  nowMs: number,
): boolean {
  return accepted > 0 && goneByMs === undefined && nowMs >= untouchedUntilMs;
}

function believable({ evictAfterMs, untouchedUntilMs, ...attempt }: PodAttempt, nowMs: number): PodAttempt {
  const believe = (untilMs: number) => (untilMs - nowMs > maxWaitMs ? 0 : untilMs);
  return { ...attempt, evictAfterMs: believe(evictAfterMs), untouchedUntilMs: believe(untouchedUntilMs) };
}

function nextStep(pod: PodView, attempt: PodAttempt, endByMs: number, nowMs: number): Step | undefined {
  const leftSeconds = Math.max(minGraceSeconds, Math.floor((endByMs - nowMs) / 1000));
  if (pod.isFinished) {
    const isGoing = pod.goneByMs !== undefined;
    return isGoing ? undefined : { kind: 'delete', pod, gracePeriodSeconds: minGraceSeconds, why: 'finished' };
  }
  if (pod.goneByMs !== undefined) {
    const goneAfterShortening = nowMs + leftSeconds * 1000;
    const outlives = pod.goneByMs > Math.max(endByMs, goneAfterShortening) + outlivesByMs;
    return outlives ? { kind: 'delete', pod, gracePeriodSeconds: leftSeconds, why: 'outlives' } : undefined;
  }
  // A game plays on, or saves, as long as the notice allows; anything else gets no more than it asks for.
  const isGivenAll = isGameServer(pod) && Number.isFinite(leftSeconds);
  const ownSeconds = isGivenAll ? allSeconds(endByMs - nowMs) : Math.min(pod.gracePeriodSeconds, leftSeconds);
  const gracePeriodSeconds = Math.max(minGraceSeconds, ownSeconds);
  const why = whyDelete(pod, attempt, endByMs, nowMs);
  return why === undefined
    ? { kind: 'evict', pod, gracePeriodSeconds }
    : { kind: 'delete', pod, gracePeriodSeconds, why };
}

/**
 * A wrapper kills its game a second before the end, to publish how it went. The kubelet counts whole seconds: rounded
 * down, its own kill could come in the same moment. The part of a second that it then comes late is the safety
 * margin's.
 */
function allSeconds(leftMs: number): number {
  return Math.ceil(leftMs / 1000);
}

/** Every pod is asked for politely once, however late it is, unless there is no time even for that. */
function whyDelete(pod: PodView, attempt: PodAttempt, endByMs: number, nowMs: number): DeleteReason | undefined {
  // Its budget has agreed, so nothing speaks against the deletion.
  if (isWithoutEffect(pod, attempt, nowMs)) return 'no-effect';
  const { refusals, objections, shed } = attempt;
  const isLate = endByMs - nowMs < minAskMs;
  if (!isLate && nowMs < escalationMs(pod, endByMs)) return undefined;
  if (refusals > 0) return 'budget';
  if (objections > 0 || shed >= minShed) return 'refused';
  return isLate ? 'late' : undefined;
}

/** The last moment at which the pod still gets its whole grace period, in whole seconds as Kubernetes counts it. */
function escalationMs(pod: PodView, endByMs: number): number {
  return endByMs - (pod.gracePeriodSeconds + 1) * 1000;
}

/** A refusal, or its tier, is waited out, but not past the moment at which the pod is deleted instead. */
function whenDue(
  { kind }: Step,
  { evictAfterMs, untouchedUntilMs }: PodAttempt,
  openMs: number,
  latestMs: number,
): number {
  if (kind === 'delete') return untouchedUntilMs;
  return Math.max(untouchedUntilMs, Math.min(Math.max(evictAfterMs, openMs), latestMs));
}

/**
 * On a slow API server the calls are the scarce thing: what cannot wait goes first. Deletions cannot, except of
 * finished pods, which always can. Then pods that were never asked, those on which somebody plays last, by how long
 * they may wait before they lose some of their grace. Asking a budget again comes after them: twenty budgets that say
 * no would otherwise keep ninety willing pods waiting.
 */
function urgency({ pod, ...step }: Step, { attempts, occupancies }: DrainState): number {
  if (step.kind === 'delete') return step.why === 'finished' ? 4 : 0;
  const { refusals, objections, failures, shed } = attempts.get(pod.uid) ?? untried;
  if (refusals + objections + failures + shed > 0) return 3;
  return occupancies.get(pod.uid) === 'occupied' ? 2 : 1;
}

function byUrgency(state: DrainState): (a: Step, b: Step) => number {
  return (a, b) => urgency(a, state) - urgency(b, state) || b.pod.gracePeriodSeconds - a.pod.gracePeriodSeconds;
}
