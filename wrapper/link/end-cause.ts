import { parseInstant } from '../../shared/interruption/interruption.ts';
import type { InterruptionMessage } from '../../shared/link/link-message.ts';
import type { EndCause } from '../life/end-plan.ts';

/**
 * Turns an interruption into this game server's cause to end; undefined if it names no instant: a risk does not end the
 * game.
 */
export function endCauseOf(message: InterruptionMessage, safetyMarginMs: number): EndCause | undefined {
  const deadlineMs = parseInstant(message.deadline);
  if (deadlineMs === undefined) return undefined;
  const endByMs = parseInstant(message.end_by) ?? deadlineMs - safetyMarginMs;
  // Cap at the deadline whatever a peer says: nothing can be done after it.
  return { id: message.id, via: 'link', reason: message.kind, deadlineMs, endByMs: Math.min(endByMs, deadlineMs) };
}
