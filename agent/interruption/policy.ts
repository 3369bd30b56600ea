import type { Interruption, InterruptionKind, Notice } from '../../shared/interruption/interruption.ts';
import { spotDeadline } from '../../shared/interruption/spot-deadline.ts';

/**
 * The agent's response to an interruption. `drain`: notify the games, cordon, remove every pod. `hold`: notify the
 * games of the risk and cordon; no pod has to go yet. `cordon`: only accept no new pods. `ignore`: only a log line.
 */
export type ResponseKind = 'drain' | 'hold' | 'cordon' | 'ignore';

export const responseKinds: readonly ResponseKind[] = ['drain', 'hold', 'cordon', 'ignore'];

export interface Policy {
  readonly responses: Readonly<Record<InterruptionKind, ResponseKind>>;
  /** Maintenance is announced days ahead. The node is only held until this long before it. */
  readonly maintenanceLeadMs: number;
  /** Assumed time for a notice without a deadline. */
  readonly assumedNoticeMs: number;
}

/** An interruption and the current response to it. */
export interface PlannedInterruption extends Interruption {
  readonly response: ResponseKind;
}

/** From mildest to strictest. Of two simultaneous notices the stricter one wins. */
const strictness: Readonly<Record<ResponseKind, number>> = { ignore: 0, cordon: 1, hold: 2, drain: 3 };

/** What a notice means under a policy. `firstSeenMs`: when this or an earlier agent first saw the interruption. */
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
  // Hibernation begins with its notice, despite the two minutes that the notice names.
  if (action === 'hibernate') return firstSeenMs;
  if (kind === 'spot-termination') return spotDeadline(deadlineMs, firstSeenMs, assumedNoticeMs);
  // A maintenance whose start was already past when first seen has not taken the instance. Its pods get the assumed
  // time to end.
  const isUsable = deadlineMs !== undefined && (kind !== 'maintenance' || deadlineMs > firstSeenMs);
  return isUsable || response !== 'drain' ? deadlineMs : firstSeenMs + assumedNoticeMs;
}

/** A real interruption outranks a rehearsal. Then the stricter response counts, then the earlier deadline. */
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
