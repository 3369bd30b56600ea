import type { InterruptionKind } from '../../shared/interruption/interruption.ts';

export type EndReason =
  | InterruptionKind
  | 'sigterm'
  | 'sigint'
  | 'not-ready'
  | 'unhealthy'
  | 'shutdown'
  | 'spent'
  | 'game-exited';

/** Why the game server has to end, and by when. Times are epoch milliseconds. */
export interface EndCause {
  /** The interruption's id, or the reason itself. */
  readonly id: string;
  /** The source that reported the cause. */
  readonly via: 'link' | 'metadata' | 'signal' | 'wrapper';
  readonly reason: EndReason;
  /** When the instance is taken. undefined: only this game server ends. */
  readonly deadlineMs: number | undefined;
  /** The wrapper has to be gone by then. */
  readonly endByMs: number;
  /** Do not tell the game before this instant: the game is ending by itself. undefined: no such reason. */
  readonly notToldBeforeMs?: number | undefined;
}

/** The known facts of an end that is under way. */
export interface EndPlan {
  readonly causes: readonly EndCause[];
  /** When the first cause was learned. */
  readonly learnedAtMs: number;
  /** The kill happens no later than this, because a second signal asked for haste. */
  readonly hurriedToMs: number | undefined;
}

/** Time reserved at the end to publish `terminated` before the kubelet or EC2 ends the wrapper too. */
const killReserveMs = 1000;
/** A game that is told almost at the deadline still gets this much, as far as the deadline itself allows. */
const minStopMs = 2000;
/** A repeated notice replaces its earlier version. */
export function withCause(causes: readonly EndCause[], cause: EndCause): readonly EndCause[] {
  return [...causes.filter(({ id }) => id !== cause.id), cause];
}

/**
 * An interruption is a better reason than the signal that follows from it, and a signal is better than our own
 * findings.
 */
export function mainReason(causes: readonly EndCause[]): EndReason {
  const interruption = causes.find((cause) => cause.deadlineMs !== undefined);
  const signal = causes.find(({ via }) => via === 'signal');
  return (interruption ?? signal ?? causes[0])?.reason ?? 'game-exited';
}

/** The wrapper has to be gone by this instant. */
export function endByMs({ causes }: Pick<EndPlan, 'causes'>): number {
  return earliest(causes.map((cause) => cause.endByMs)) ?? Infinity;
}

/** When the instance is taken; if only this game server ends, when the wrapper has to be gone. */
export function deadlineMs(plan: Pick<EndPlan, 'causes'>): number {
  return earliest(plan.causes.map((cause) => cause.deadlineMs)) ?? endByMs(plan);
}

/** When to tell the game. -Infinity: at once. */
export function stopAtMs(plan: EndPlan, stopLeadMs: number | undefined): number {
  const wantedMs = stopLeadMs === undefined ? -Infinity : endByMs(plan) - stopLeadMs;
  return Math.max(wantedMs, Math.min(...plan.causes.map(({ notToldBeforeMs }) => notToldBeforeMs ?? -Infinity)));
}

/**
 * The last safe moment to kill: a reserve before the end. If the notice came so late that the safety margin would use
 * up the game's whole stop, the margin shrinks, down to the deadline itself. A deadline that has already passed
 * (hibernation) is ignored.
 */
export function killAtMs(plan: EndPlan): number {
  const { learnedAtMs, hurriedToMs = Infinity } = plan;
  const endMs = endByMs(plan);
  const reserveMs = Math.min(killReserveMs, Math.max(0, endMs - learnedAtMs) / 5);
  const instanceEndMs = deadlineMs(plan);
  const lastMs = instanceEndMs > learnedAtMs ? instanceEndMs - reserveMs : Infinity;
  return Math.min(hurriedToMs, Math.max(endMs - reserveMs, Math.min(learnedAtMs + minStopMs, lastMs)));
}

/** The last events always get this long, whatever time is left. */
const minFlushMs = 1000;
/**
 * Nobody else ends the wrapper but the game is gone: exit soon, so that the container restarts or the pod is replaced.
 */
const ownEndFlushMs = 5000;
/** Short, because a pod's deletion waits for the wrapper. An agent that is being replaced is back within this time. */
const signalFlushMs = 10_000;
/** No notice is longer than this. */
const maxFlushMs = 120_000;

/** How long a wrapper outlives its game to publish the last events while the queue does not take them. */
export function flushLimitMs(
  { reason, endByMs: lastMs }: { readonly reason: EndReason; readonly endByMs: number | undefined },
  nowMs: number,
): number {
  if (lastMs === undefined) return ownEndFlushMs;
  const isSignal = reason === 'sigterm' || reason === 'sigint';
  return Math.max(minFlushMs, Math.min(lastMs - nowMs, isSignal ? signalFlushMs : maxFlushMs));
}

export function earliest(instants: readonly (number | undefined)[]): number | undefined {
  const known = instants.filter((instant) => instant !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
