import { endOf, type Life } from '../../life/lifecycle.ts';
import type { AnnouncedEnd } from './sdk-model.ts';

/** These can still be cancelled, as long as the game was not told to stop. */
const revocableReasons: ReadonlySet<string> = new Set(['rebalance', 'maintenance', 'rehearsal']);

/** What a game's watchers are told of the end. */
export function announcedEnd(life: Life): AnnouncedEnd | undefined {
  const end = endOf(life);
  if (end?.deadlineMs === undefined) return undefined;
  const isCertain = !revocableReasons.has(end.reason) || (life.phase === 'ending' && life.isTold);
  return { kind: end.reason, deadlineMs: end.deadlineMs, isCertain };
}
