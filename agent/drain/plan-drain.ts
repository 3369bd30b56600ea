import type { Occupancy } from '../../shared/link/link-message.ts';
import type { PodView } from './pod.ts';
import { isGameServer, tierOf } from './pod-filters.ts';

/** What has happened to one pod in the drain so far. */
export interface PodAttempt {
  /** A call for the pod is in flight. */
  readonly isInFlight: boolean;
  /** Evictions that a budget refused. */
  readonly refusals: number;
  /** Calls that something else refused: a webhook, a policy. */
  readonly objections: number;
  /** Calls without a response. They say nothing about the pod, which is still evicted before it is deleted. */
  readonly failures: number;
  /** Calls that the server shed because it was too busy. */
  readonly shed: number;
  /** Accepted evictions. They had no effect if the pod is not terminating afterwards. */
  readonly accepted: number;
  /** Do not evict again before this time, unless only the pod's own grace period is left: epoch milliseconds. */
  readonly evictAfterMs: number;
  /**
   * Make no call for the pod before this time, however little time is left, because its last call was accepted or has
   * just failed: epoch milliseconds.
   */
  readonly untouchedUntilMs: number;
}

export type Step =
  | { readonly kind: 'evict'; readonly pod: PodView; readonly gracePeriodSeconds: number }
  | { readonly kind: 'delete'; readonly pod: PodView; readonly gracePeriodSeconds: number; readonly why: DeleteReason };

/**
 * `finished`: nothing of it runs. `budget`: a budget refuses the eviction, and only the pod's own grace period is left.
 * `refused`: the same, with a refusal by something else, such as a webhook. `no-effect`: the eviction was accepted, and
 * the pod stays. `late`: too little time to evict first. `outlives`: it is terminating, but would outlive the node.
 */
export type DeleteReason = 'finished' | 'budget' | 'refused' | 'no-effect' | 'late' | 'outlives';

export interface DrainPlan {
  /** What to do now, most urgent first. */
  readonly steps: readonly Step[];
  /** When to plan again even if nothing changes: epoch milliseconds. */
  readonly nextMs: number;
}

export interface DrainState {
  /** The pods to drain, without the spared ones. */
  readonly pods: readonly PodView[];
  readonly attempts: ReadonlyMap<string, PodAttempt>;
  /** By pod uid, where known. */
  readonly occupancies: ReadonlyMap<string, Occupancy>;
  /**
   * When every pod must have ended: the deadline minus the safety margin, epoch milliseconds; infinite: no pod has to
   * go yet.
   */
  readonly endByMs: number;
  readonly nowMs: number;
  /** Whether deleting is allowed. Without it, evictions continue to the very end. */
  readonly mayDelete: boolean;
  /**
   * Whether the node may still be given new pods, including the replacements of evicted ones. Nothing is evicted until
   * then.
   */
  readonly isAwaitingCordon?: boolean;
}

/** At least 1: with a grace period of 0 the API server forgets the pod although its processes may still run. */
const minGraceSeconds = 1;

/**
 * Rounding of the grace period (see `allSeconds`) and the API server's clock may add this much. A pod that exceeds the
 * end by no more is not worth a call.
 */
const outlivesByMs = 2000;

/** With less time than this, delete without asking a budget first. */
const minAskMs = 2000;

/** An instance that outlives its announced end by this much is not taken then. */
const longPastMs = 30_000;

/** After this many shed calls for one pod alone, the server is refusing the pod, whatever it says. */
const minShed = 3;

/** Evict last-tier pods no later than this, even if their grace is shorter, so that budgets still get a say. */
const lateTierMs = 5000;

/**
 * Occupied game servers stay until the end, so their calls come all at once. A slow API server needs this long for
 * each.
 */
const occupiedCallMs = 250;

/** A longer pause than any that the drain sets means that the clock was set back. Ignore it. */
const maxWaitMs = 15_000;

/** Plan at least this often, because clocks step and watches stall. */
const maxPauseMs = 1000;

/**
 * Decides the next steps from the current state alone, so that a moved deadline, a new or vanished pod and a restarted
 * agent need no special case. Evicts a pod while a budget may still agree, and deletes it once only its own grace
 * period is left.
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
    // An eviction also removes a finished pod, and shortens the grace period of a terminating one.
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

/** Whether the pod's last call was accepted some time ago and the pod is still not terminating. */
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
  // A game gets all the time that the notice allows, to play on or to save. Any other pod gets no more than it asks
  // for.
  const isGivenAll = isGameServer(pod) && Number.isFinite(leftSeconds);
  const ownSeconds = isGivenAll ? allSeconds(endByMs - nowMs) : Math.min(pod.gracePeriodSeconds, leftSeconds);
  const gracePeriodSeconds = Math.max(minGraceSeconds, ownSeconds);
  const why = whyDelete(pod, attempt, endByMs, nowMs);
  return why === undefined
    ? { kind: 'evict', pod, gracePeriodSeconds }
    : { kind: 'delete', pod, gracePeriodSeconds, why };
}

/**
 * Rounds up. A wrapper kills its game a second before the end, to publish the result. The kubelet counts whole seconds,
 * and its own kill, rounded down, could come at the same moment. The safety margin covers the fraction of a second by
 * which the kubelet is then late.
 */
function allSeconds(leftMs: number): number {
  return Math.ceil(leftMs / 1000);
}

/** Every pod gets at least one eviction first, however late it is, unless there is no time even for that. */
function whyDelete(pod: PodView, attempt: PodAttempt, endByMs: number, nowMs: number): DeleteReason | undefined {
  // The budget has agreed, so the pod may be deleted.
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

/** Waits out a refusal or an earlier tier, but not beyond the moment at which the pod is deleted instead. */
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
 * On a slow API server calls are scarce, so the most urgent ones go first: deletions, except those of finished pods,
 * which come last of all. Next come pods that were never asked, occupied ones after the others, ordered by how long
 * they can wait without losing grace. Repeated attempts follow: otherwise twenty budgets that refuse would delay ninety
 * pods that could go.
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
