import type { Interruption, InterruptionKind, Notice } from '../../shared/interruption/interruption.ts';
import { spotDeadline } from '../../shared/interruption/spot-deadline.ts';

/**
 * What the agent does about an interruption. `drain`: tell the games, cordon, move every pod. `hold`: tell them of the
 * risk and cordon, nobody has to go yet. `cordon`: only take no new pods. `ignore`: nothing but a log line.
 */
export type ResponseKind = 'drain' | 'hold' | 'cordon' | 'ignore';

export const responseKinds: readonly ResponseKind[] = ['drain', 'hold', 'cordon', 'ignore'];

export interface Policy {
  readonly responses: Readonly<Record<InterruptionKind, ResponseKind>>;
  /** Maintenance is announced days ahead: until so long before it the node is only held. */
  readonly maintenanceLeadMs: number;
  /** What a notice that names no instant is taken to give. */
  readonly assumedNoticeMs: number;
}

/** An interruption and what is to be done about it now. */
export interface PlannedInterruption extends Interruption {
  readonly response: ResponseKind;
}

/** From the mildest to the strictest: of two notices at once the stricter one is answered. */
const strictness: Readonly<Record<ResponseKind, number>> = { ignore: 0, cordon: 1, hold: 2, drain: 3 };

/**
 * What a notice means under a policy; `firstSeenMs` is when this interruption was first seen, by us or an agent before
 * us.
 */
export function planInterruption(
  notice: Notice,
  firstSeenMs: number,
  policy: Policy,
  nowMs: number,
): PlannedInterruption {
  const response = responseTo(notice, policy, nowMs);
  return { ...notice, firstSeenMs, response, deadlineMs: deadlineOf(notice, response, firstSeenMs, policy) };
}

function responseTo({ kind, deadlineMs }: Notice, policy: Policy, nowMs: number): ResponseKind {
  const response = policy.responses[kind];
  const isFarOff = deadlineMs !== undefined && deadlineMs - nowMs > policy.maintenanceLeadMs;
  return kind === 'maintenance' && response === 'drain' && isFarOff ? 'hold' : response;
}

function deadlineOf(
  { kind, action, deadlineMs }: Notice,
  response: ResponseKind,
  firstSeenMs: number,
  { assumedNoticeMs }: Policy,
): number | undefined {
  // Hibernation begins with its notice: the two minutes that the notice names are not there.
  if (action === 'hibernate') return firstSeenMs;
  if (kind === 'spot-termination') return spotDeadline(deadlineMs, firstSeenMs, assumedNoticeMs);
  // The instance has outlived the start of a maintenance that was past when it was first seen: its pods get time to
  // end.
  const isUsable = deadlineMs !== undefined && (kind !== 'maintenance' || deadlineMs > firstSeenMs);
  return isUsable || response !== 'drain' ? deadlineMs : firstSeenMs + assumedNoticeMs;
}

/** A real interruption wins over a rehearsal, then the stricter response, then the sooner deadline. */
export function outranks(candidate: PlannedInterruption, current: PlannedInterruption): boolean {
  return rank(candidate, current) > 0;
}

function rank(a: PlannedInterruption, b: PlannedInterruption): number {
  return (
    Number(a.kind !== 'rehearsal') - Number(b.kind !== 'rehearsal') ||
    strictness[a.response] - strictness[b.response] ||
    Math.sign((b.deadlineMs ?? Number.MAX_VALUE) - (a.deadlineMs ?? Number.MAX_VALUE))
  );
}
