import type { CheckedClock } from '../../shared/checked-clock.ts';
import type { ResponseParts } from '../response.ts';
import type { LinkServer } from './link-server.ts';

/**
 * The link for deadlines by the checked clock. Wrappers and games compare a deadline with the wall clock of this
 * machine, so they are told it as that clock will show it, however wrong it is.
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
