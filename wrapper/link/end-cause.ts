import { parseInstant } from '../../shared/interruption/interruption.ts';
import type { InterruptionMessage } from '../../shared/link/link-message.ts';
import type { EndCause } from '../life/end-plan.ts';

/**
 * What an interruption means for this game server; undefined where it names no instant: a risk, and the game goes on.
 */
export function endCauseOf(message: InterruptionMessage, safetyMarginMs: number): EndCause | undefined {
  const deadlineMs = parseInstant(message.deadline);
  if (deadlineMs === undefined) return undefined;
  const endByMs = parseInstant(message.end_by) ?? deadlineMs - safetyMarginMs;
  // Whatever a peer says, nothing can be done after the deadline.
  return { id: message.id, via: 'link', reason: message.kind, deadlineMs, endByMs: Math.min(endByMs, deadlineMs) };
}
