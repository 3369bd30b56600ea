import type { CheckedClock } from '../../shared/checked-clock.ts';
import type { ResponseParts } from '../response.ts';
import type { LinkServer } from './link-server.ts';

/**
 * The link with deadlines converted from the checked clock to the wall clock. Wrappers and games compare deadlines with
 * this machine's wall clock, however wrong it is.
 */
export function linkInWallTime(
  link: Pick<LinkServer, 'announce' | 'cancel' | 'occupancies'>,
  clock: Pick<CheckedClock, 'toWall'>,
): ResponseParts['link'] {
  const toWall = (epochMs: number | undefined) => (epochMs === undefined ? undefined : clock.toWall(epochMs));
  return {
    announce: (interruption, endByMs) =>
      link.announce({ ...interruption, deadlineMs: toWall(interruption.deadlineMs) }, toWall(endByMs)),
    cancel: (interruption) => link.cancel(interruption),
    occupancies: () => link.occupancies(),
  };
}
