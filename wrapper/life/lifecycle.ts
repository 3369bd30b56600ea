import type { GameServerState } from '../../shared/events/event.ts';
import { type ForwardedSignal, signalNumbers } from '../signal-numbers.ts';
import {
  deadlineMs,
  type EndCause,
  type EndPlan,
  type EndReason,
  earliest,
  endByMs,
  killAtMs,
  mainReason,
  stopAtMs,
  withCause,
} from './end-plan.ts';

/*
 *                prepared, nothing announced                   the first cause to end
 *   ┌─────────┐ ────────────────────────────▶ ┌─────────┐ ─────────────────────────▶ ┌────────┐
 *   │ waiting │    (starts the game)          │ serving │                            │ ending │
 *   └─────────┘                               └─────────┘ ◀───────────────────────── └────────┘
 *        │  a signal, or the end itself            │        all causes cancelled,         │
 *        │                                         │        game not told yet             │
 *        ▼                                         ▼                                      ▼
 *   ┌───────────────────────────────── ended (the game is gone, or never was) ─────────────────┐
 *
 * waiting: an interruption that is known already holds the game back; when it is cancelled the game starts.
 * serving: not ready, ready or allocated; unhealthy counts as not ready.
 * ending:  told or about to be told; a later, sooner end only moves the kill forward.
 */

/** How the game ended: its exit status, or the signal that ended it. */
export type GameExit = { readonly code: number } | { readonly signal: NodeJS.Signals };

interface Serving {
  readonly isReady: boolean;
  readonly isAllocated: boolean;
  /** The liveness check's complaint. */
  readonly problem: string | undefined;
}

interface Ending extends EndPlan {
  readonly isTold: boolean;
  readonly isKilled: boolean;
  /** Number of SIGTERMs and SIGINTs received. */
  readonly signals: number;
}

export type Life =
  | { readonly phase: 'waiting'; readonly isPrepared: boolean; readonly causes: readonly EndCause[] }
  | ({ readonly phase: 'serving' } & Serving)
  | ({ readonly phase: 'ending' } & Serving & Ending)
  | {
      readonly phase: 'ended';
      readonly reason: EndReason;
      readonly deadlineMs: number | undefined;
      /** When the kubelet or EC2 ends this wrapper too. undefined: neither is known to. */
      readonly endByMs: number | undefined;
      /** undefined: the game was never started. */
      readonly exit: GameExit | undefined;
    };

export type LifeEvent =
  /** Ports are leased, and the agent has had time to report an interruption. */
  | { readonly kind: 'prepared' }
  | { readonly kind: 'game-ready' }
  /** The game's time to become ready is over. `missing` says for a person to read what is missing. */
  | { readonly kind: 'game-not-ready'; readonly missing: string }
  | { readonly kind: 'health-checked'; readonly problem: string | undefined }
  | { readonly kind: 'allocation'; readonly isAllocated: boolean }
  | { readonly kind: 'heartbeat-due' }
  | { readonly kind: 'end-announced'; readonly cause: EndCause }
  | { readonly kind: 'end-cancelled'; readonly id: string }
  | { readonly kind: 'signal'; readonly signal: ForwardedSignal }
  | { readonly kind: 'time-passed' }
  | { readonly kind: 'game-exited'; readonly exit: GameExit };

export type Effect =
  | { readonly kind: 'hold-game'; readonly cause: EndCause }
  | { readonly kind: 'start-game' }
  | { readonly kind: 'publish'; readonly event: GameServerState | 'heartbeat' }
  /** The end is known: write the deadline file and warn the players. */
  | { readonly kind: 'announce-end'; readonly cause: EndCause }
  | { readonly kind: 'move-end'; readonly cause: EndCause }
  | { readonly kind: 'withdraw-end'; readonly id: string }
  /** Run the stop actions; `signal` is the one that the default action sends. */
  | { readonly kind: 'stop-game'; readonly signal: 'SIGTERM' | 'SIGINT' }
  /** Cut the stop actions' waits short. */
  | { readonly kind: 'hurry-stop' }
  | { readonly kind: 'forward-signal'; readonly signal: ForwardedSignal }
  | { readonly kind: 'kill-game' };

export interface LifeRules {
  /** Time between SIGTERM and the kubelet's SIGKILL. */
  readonly gracePeriodMs: number;
  /** How long before the end the game is told to stop. undefined: it is told at once. */
  readonly stopLeadMs: number | undefined;
  readonly whenUnhealthy: 'tell' | 'restart' | 'end';
}

export interface Step {
  readonly life: Life;
  readonly effects: readonly Effect[];
}

export const initialLife: Life = { phase: 'waiting', isPrepared: false, causes: [] };

/** The game's remaining time after a second SIGTERM or SIGINT. */
const hurryMs = 5000;

/** Takes one event; returns the new life and the effects to carry out. */
export function advance(life: Life, lifeEvent: LifeEvent, rules: LifeRules, nowMs: number): Step {
  switch (life.phase) {
    case 'waiting':
      return advanceWaiting(life, lifeEvent, nowMs);
    case 'serving':
      return advanceServing(life, lifeEvent, rules, nowMs);
    case 'ending':
      return advanceEnding(life, lifeEvent, rules, nowMs);
    case 'ended':
      return { life, effects: [] };
  }
}

/** When `time-passed` is due next, in epoch milliseconds; undefined if nothing waits for a time. */
export function nextMoveMs(life: Life, rules: LifeRules): number | undefined {
  switch (life.phase) {
    case 'waiting':
      return earliest(life.causes.map(({ endByMs }) => endByMs));
    case 'ending':
      if (life.isKilled) return undefined;
      return life.isTold ? killAtMs(life) : Math.min(stopAtMs(life, rules.stopLeadMs), killAtMs(life));
    case 'serving':
    case 'ended':
      return undefined;
  }
}

/** The inventory's name for this state. */
export function statusOf(life: Life): GameServerState {
  switch (life.phase) {
    case 'waiting':
      return 'starting';
    case 'serving':
      if (!life.isReady || life.problem !== undefined) return 'starting';
      return life.isAllocated ? 'allocated' : 'ready';
    case 'ending':
      return 'terminating';
    case 'ended':
      return 'terminated';
  }
}

/** Why the game server ends and its latest end, as far as known. */
export function endOf(life: Life): { readonly reason: EndReason; readonly deadlineMs: number | undefined } | undefined {
  switch (life.phase) {
    case 'waiting':
    case 'serving':
      return undefined;
    case 'ending':
      return { reason: mainReason(life.causes), deadlineMs: deadlineMs(life) };
    case 'ended':
      return { reason: life.reason, deadlineMs: life.deadlineMs };
  }
}

/** The exit status: the game's own, as a shell reports it, or 0 for a game that was held back on purpose. */
export function exitStatusOf({ exit }: Extract<Life, { phase: 'ended' }>): number {
  if (exit === undefined) return 0;
  return 'code' in exit ? exit.code : 128 + (signalNumbers[exit.signal] ?? 0);
}

type Waiting = Extract<Life, { phase: 'waiting' }>;
type ServingLife = Extract<Life, { phase: 'serving' }>;
type EndingLife = Extract<Life, { phase: 'ending' }>;

function advanceWaiting(life: Waiting, lifeEvent: LifeEvent, nowMs: number): Step {
  switch (lifeEvent.kind) {
    case 'prepared':
      return startOrHold({ ...life, isPrepared: true });
    case 'end-announced': {
      const causes = withCause(life.causes, lifeEvent.cause);
      return { life: { ...life, causes }, effects: life.isPrepared ? holding(causes, life.causes) : [] };
    }
    case 'end-cancelled': {
      const causes = life.causes.filter(({ id }) => id !== lifeEvent.id);
      const next = { ...life, causes };
      return life.isPrepared ? startOrHold(next, life.causes) : { life: next, effects: [] };
    }
    case 'signal': {
      const reason = endSignalReason(lifeEvent.signal);
      return reason === undefined ? { life, effects: [] } : neverStarted(reason, life.causes);
    }
    case 'time-passed': {
      const endMs = earliest(life.causes.map(({ endByMs }) => endByMs));
      if (endMs === undefined || nowMs < endMs) return { life, effects: [] };
      return neverStarted(mainReason(life.causes), life.causes);
    }
    case 'game-ready':
    case 'game-not-ready':
    case 'health-checked':
    case 'allocation':
    case 'heartbeat-due':
    case 'game-exited':
      return { life, effects: [] };
  }
}

function startOrHold(life: Waiting, before: readonly EndCause[] = []): Step {
  if (life.causes.length > 0) return { life, effects: holding(life.causes, before) };
  return {
    life: { phase: 'serving', isReady: false, isAllocated: false, problem: undefined },
    effects: [{ kind: 'start-game' }, { kind: 'publish', event: 'starting' }],
  };
}

/** Hold the game only at the first cause, so that it is logged once. */
function holding(causes: readonly EndCause[], before: readonly EndCause[]): Effect[] {
  const [cause] = causes;
  return cause === undefined || before.length > 0 ? [] : [{ kind: 'hold-game', cause }];
}

function neverStarted(reason: EndReason, causes: readonly EndCause[]): Step {
  const deadlineMs = earliest(causes.map((cause) => cause.deadlineMs));
  return { life: { phase: 'ended', reason, deadlineMs, endByMs: undefined, exit: undefined }, effects: [] };
}

function advanceServing(life: ServingLife, lifeEvent: LifeEvent, rules: LifeRules, nowMs: number): Step {
  switch (lifeEvent.kind) {
    case 'game-ready':
      return restated(life, { ...life, isReady: true });
    case 'allocation':
      return restated(life, { ...life, isAllocated: lifeEvent.isAllocated });
    case 'health-checked':
      return checkHealth(life, lifeEvent.problem, rules, nowMs);
    case 'game-not-ready':
      return beginEnd(life, ownCause('not-ready', rules, nowMs), rules, nowMs);
    case 'heartbeat-due':
      return { life, effects: [{ kind: 'publish', event: 'heartbeat' }] };
    case 'end-announced':
      return beginEnd(life, lifeEvent.cause, rules, nowMs);
    case 'signal': {
      const reason = endSignalReason(lifeEvent.signal);
      if (reason === undefined) return { life, effects: [{ kind: 'forward-signal', signal: lifeEvent.signal }] };
      return signalled(beginEnd(life, ownCause(reason, rules, nowMs), rules, nowMs, lifeEvent.signal));
    }
    case 'game-exited':
      return ended('game-exited', [], lifeEvent.exit);
    case 'prepared':
    case 'end-cancelled':
    case 'time-passed':
      return { life, effects: [] };
  }
}

/** Publish only changes that a consumer can see. */
function restated(before: ServingLife, life: ServingLife): Step {
  const status = statusOf(life);
  return { life, effects: status === statusOf(before) ? [] : [{ kind: 'publish', event: status }] };
}

function checkHealth(life: ServingLife, problem: string | undefined, rules: LifeRules, nowMs: number): Step {
  const step = restated(life, { ...life, problem });
  if (problem === undefined || life.problem !== undefined || rules.whenUnhealthy === 'tell') return step;
  return beginEnd({ ...life, problem }, ownCause('unhealthy', rules, nowMs), rules, nowMs);
}

function ownCause(reason: EndReason, { gracePeriodMs }: LifeRules, nowMs: number): EndCause {
  const via = reason === 'sigterm' || reason === 'sigint' ? 'signal' : 'wrapper';
  return { id: reason, via, reason, deadlineMs: undefined, endByMs: nowMs + gracePeriodMs };
}

function beginEnd(
  { isReady, isAllocated, problem }: ServingLife,
  cause: EndCause,
  rules: LifeRules,
  nowMs: number,
  signal?: ForwardedSignal,
): Step {
  const life: EndingLife = {
    phase: 'ending',
    ...{ isReady, isAllocated, problem },
    causes: [cause],
    learnedAtMs: nowMs,
    isTold: false,
    isKilled: false,
    hurriedToMs: undefined,
    signals: 0,
  };
  const step = moveOn(life, rules, nowMs, signal);
  // Tell the game before the inventory: the game's time is scarcer.
  return {
    ...step,
    effects: [{ kind: 'announce-end', cause }, ...step.effects, { kind: 'publish', event: 'terminating' }],
  };
}

function signalled({ life, effects }: Step): Step {
  return life.phase === 'ending' ? { life: { ...life, signals: life.signals + 1 }, effects } : { life, effects };
}

function advanceEnding(life: EndingLife, lifeEvent: LifeEvent, rules: LifeRules, nowMs: number): Step {
  switch (lifeEvent.kind) {
    case 'time-passed':
      return moveOn(life, rules, nowMs);
    case 'end-announced':
      return addCause(life, lifeEvent.cause, rules, nowMs);
    case 'end-cancelled':
      return dropCause(life, lifeEvent.id, rules, nowMs);
    case 'signal': {
      const reason = endSignalReason(lifeEvent.signal);
      if (reason === undefined) return { life, effects: [{ kind: 'forward-signal', signal: lifeEvent.signal }] };
      return signalAgain(life, reason, rules, nowMs);
    }
    case 'heartbeat-due':
      return { life, effects: [{ kind: 'publish', event: 'heartbeat' }] };
    case 'game-exited':
      return ended(mainReason(life.causes), life.causes, lifeEvent.exit);
    case 'game-ready':
      // The game may yet be told to play on; until then `terminating` remains true.
      return { life: { ...life, isReady: true }, effects: [] };
    case 'allocation':
      return { life: { ...life, isAllocated: lifeEvent.isAllocated }, effects: [] };
    case 'health-checked':
      return { life: { ...life, problem: lifeEvent.problem }, effects: [] };
    case 'prepared':
    case 'game-not-ready':
      return { life, effects: [] };
  }
}

/** Does what is due by now: tells the game, or kills it. */
function moveOn(life: EndingLife, rules: LifeRules, nowMs: number, signal?: ForwardedSignal): Step {
  if (life.isKilled) return { life, effects: [] };
  const effects: Effect[] = [];
  const isStopDue = !life.isTold && nowMs >= stopAtMs(life, rules.stopLeadMs);
  if (isStopDue) effects.push({ kind: 'stop-game', signal: signal === 'SIGINT' ? signal : 'SIGTERM' });
  const isKillDue = nowMs >= killAtMs(life);
  if (isKillDue) effects.push({ kind: 'kill-game' });
  return { life: { ...life, isTold: life.isTold || isStopDue, isKilled: isKillDue }, effects };
}

function addCause(life: EndingLife, cause: EndCause, rules: LifeRules, nowMs: number): Step {
  const next = { ...life, causes: withCause(life.causes, cause) };
  const hasMoved = deadlineMs(next) !== deadlineMs(life) || endByMs(next) !== endByMs(life);
  const step = moveOn(next, rules, nowMs);
  if (!hasMoved) return step;
  return { ...step, effects: [{ kind: 'move-end', cause }, ...step.effects, { kind: 'publish', event: 'heartbeat' }] };
}

function dropCause(life: EndingLife, id: string, rules: LifeRules, nowMs: number): Step {
  const causes = life.causes.filter((cause) => cause.id !== id);
  // A game that was told is ending, whatever AWS says now: a SIGTERM cannot be taken back.
  if (causes.length === life.causes.length || life.isTold) return { life, effects: [] };
  if (causes.length > 0) return moveOn({ ...life, causes }, rules, nowMs);
  const { isReady, isAllocated, problem } = life;
  const serving: ServingLife = { phase: 'serving', isReady, isAllocated, problem };
  return {
    life: serving,
    effects: [
      { kind: 'withdraw-end', id },
      { kind: 'publish', event: statusOf(serving) },
    ],
  };
}

/**
 * The kubelet sends SIGTERM for a drain that we already know of, and again when a pod's grace is shortened: if an
 * interruption sets the end, such a SIGTERM asks for no haste. SIGINT comes from a person who waits.
 */
function signalAgain(life: EndingLife, reason: 'sigterm' | 'sigint', rules: LifeRules, nowMs: number): Step {
  const signals = life.signals + 1;
  const isInterrupted = life.causes.some((cause) => cause.deadlineMs !== undefined);
  const isKnown = isInterrupted || life.signals > 0;
  const causes = isKnown ? life.causes : withCause(life.causes, ownCause(reason, rules, nowMs));
  const isPressing = signals > 1 && (reason === 'sigint' || !isInterrupted);
  if (!isPressing) return moveOn({ ...life, causes, signals }, rules, nowMs);
  const hurriedToMs = Math.min(life.hurriedToMs ?? Infinity, nowMs + (signals > 2 ? 0 : hurryMs));
  const stop: Effect = { kind: 'stop-game', signal: reason === 'sigint' ? 'SIGINT' : 'SIGTERM' };
  const step = moveOn({ ...life, causes, signals, hurriedToMs, isTold: true }, rules, nowMs);
  return { ...step, effects: [...(life.isTold ? [] : [stop]), { kind: 'hurry-stop' }, ...step.effects] };
}

function ended(reason: EndReason, causes: readonly EndCause[], exit: GameExit): Step {
  const life: Life = {
    phase: 'ended',
    reason,
    deadlineMs: causes.length === 0 ? undefined : deadlineMs({ causes }),
    endByMs: earliest(causes.filter(({ via }) => via !== 'wrapper').map((cause) => cause.endByMs)),
    exit,
  };
  return { life, effects: [{ kind: 'publish', event: 'terminated' }] };
}

function endSignalReason(signal: ForwardedSignal): 'sigterm' | 'sigint' | undefined {
  if (signal === 'SIGTERM') return 'sigterm';
  return signal === 'SIGINT' ? 'sigint' : undefined;
}
