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

/** Why the game server has to end, and by when. Epoch milliseconds. */
export interface EndCause {
  /** The interruption's id, or the reason itself. */
  readonly id: string;
  /** How we learned of it. */
  readonly via: 'link' | 'metadata' | 'signal' | 'wrapper';
  readonly reason: EndReason;
  /** When the instance is taken. undefined: nothing but this game server ends. */
  readonly deadlineMs: number | undefined;
  /** By when the wrapper has to be gone. */
  readonly endByMs: number;
  /** The game is not told before this instant, because it is ending by itself. undefined: no such reason. */
  readonly notToldBeforeMs?: number | undefined;
}

/** What is known of an end that is under way. */
export interface EndPlan {
  readonly causes: readonly EndCause[];
  /** When the first of the causes was learned. */
  readonly learnedAtMs: number;
  /** The kill is not later than this, because somebody pressed for it. */
  readonly hurriedToMs: number | undefined;
}

/** Kept of the last moments for publishing `terminated` before the kubelet or EC2 ends us too. */
const killReserveMs = 1000;
/** A game that is told when almost nothing is left still gets this much, as far as the deadline itself allows. */
const minStopMs = 2000;
/** A notice that is announced again replaces what it said before. */
export function withCause(causes: readonly EndCause[], cause: EndCause): readonly EndCause[] {
  return [...causes.filter(({ id }) => id !== cause.id), cause];
}

/**
 * An interruption says more than the signal that follows from it, and a signal more than what we found out ourselves.
 */
export function mainReason(causes: readonly EndCause[]): EndReason {
  const interruption = causes.find((cause) => cause.deadlineMs !== undefined);
  const signal = causes.find(({ via }) => via === 'signal');
  return (interruption ?? signal ?? causes[0])?.reason ?? 'game-exited';
}

/** By when the wrapper has to be gone. */
export function endByMs({ causes }: Pick<EndPlan, 'causes'>): number {
  return earliest(causes.map((cause) => cause.endByMs)) ?? Infinity;
}

/** When the instance is taken; where only this game server ends, that. */
export function deadlineMs(plan: Pick<EndPlan, 'causes'>): number {
  return earliest(plan.causes.map((cause) => cause.deadlineMs)) ?? endByMs(plan);
}

/** When the game is told. -Infinity: at once. */
export function stopAtMs(plan: EndPlan, stopLeadMs: number | undefined): number {
  const wantedMs = stopLeadMs === undefined ? -Infinity : endByMs(plan) - stopLeadMs;
  return Math.max(wantedMs, Math.min(...plan.causes.map(({ notToldBeforeMs }) => notToldBeforeMs ?? -Infinity)));
}

/**
 * The last safe moment: a reserve before the end. Where the notice came so late that the safety margin would swallow
 * the game's whole stop, the margin gives way, up to the deadline itself; a deadline that has passed already
 * (hibernation) says nothing about the moment.
 */
export function killAtMs(plan: EndPlan): number {
  const { learnedAtMs, hurriedToMs = Infinity } = plan;
  const endMs = endByMs(plan);
  const reserveMs = Math.min(killReserveMs, Math.max(0, endMs - learnedAtMs) / 5);
  const instanceEndMs = deadlineMs(plan);
  const lastMs = instanceEndMs > learnedAtMs ? instanceEndMs - reserveMs : Infinity;
  return Math.min(hurriedToMs, Math.max(endMs - reserveMs, Math.min(learnedAtMs + minStopMs, lastMs)));
}

/** Whatever is left, the last events have this. */
const minFlushMs = 1000;
/** Nobody ends us but our game has gone: its container is to start again, or its pod to be replaced, soon. */
const ownEndFlushMs = 5000;
/** A pod is waited for by whoever deletes it. An agent that is being replaced is back within this. */
const signalFlushMs = 10_000;
/** No notice is longer. */
const maxFlushMs = 120_000;

/** How long a wrapper outlives its game for the sake of its last events, where the queue does not take them. */
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
