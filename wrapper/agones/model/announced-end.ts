import { endOf, type Life } from '../../life/lifecycle.ts';
import type { AnnouncedEnd } from './sdk-model.ts';

/** Ends for these reasons can still be cancelled, until the game is told to stop. */
const revocableReasons: ReadonlySet<string> = new Set(['rebalance', 'maintenance', 'rehearsal']);

/** The end as the game's watchers are told of it. */
export function announcedEnd(life: Life): AnnouncedEnd | undefined {
  const end = endOf(life);
  if (end?.deadlineMs === undefined) return undefined;
  const isCertain = !revocableReasons.has(end.reason) || (life.phase === 'ending' && life.isTold);
  return { kind: end.reason, deadlineMs: end.deadlineMs, isCertain };
}
