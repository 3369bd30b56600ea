import { type GameStatus, StatusFile } from './game/status-file.ts';
import type { LifeEvents } from './life/life-events.ts';
import type { PlacementResolver } from './placement-resolver.ts';
import type { WrapperContext } from './wrapper-context.ts';

/** How soon the inventory learns of a player who joins. */
const statusFilePollMs = 1000;

/** Reports each due heartbeat, until the signal aborts. */
export async function keepBeating(
  heartbeatMs: number,
  lifeEvents: LifeEvents,
  { clock, random }: WrapperContext,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    // Add jitter, so that game servers that start together do not send together.
    await clock.sleep(heartbeatMs * (0.8 + 0.2 * random()), signal);
    lifeEvents.push({ kind: 'heartbeat-due' });
  }
}

/** Follows the game's status file, until the signal aborts. */
export async function watchStatusFile(
  path: string | undefined,
  /** Returns whether the game server is allocated. */
  onStatus: (status: GameStatus) => boolean,
  lifeEvents: LifeEvents,
  { clock, log }: WrapperContext,
  signal: AbortSignal,
): Promise<void> {
  if (path === undefined) return;
  const file = new StatusFile(path);
  for (;;) {
    const status = file.readIfChanged();
    if (typeof status === 'string') log.warn({ file: path, reason: status }, 'Cannot use status file');
    if (typeof status === 'object') {
      lifeEvents.push({ kind: 'allocation', isAllocated: onStatus(status) });
      lifeEvents.push({ kind: 'heartbeat-due' });
    }
    await clock.sleep(statusFilePollMs, signal);
  }
}

/** Reports notices of the metadata service while no agent does, until the signal aborts. */
export async function watchNotices(
  placementResolver: PlacementResolver,
  safetyMarginMs: number,
  lifeEvents: LifeEvents,
  signal: AbortSignal,
): Promise<void> {
  await placementResolver.watchNotices(({ id, kind, deadlineMs }) => {
    const endByMs = deadlineMs - safetyMarginMs;
    lifeEvents.push({ kind: 'end-announced', cause: { id, via: 'metadata', reason: kind, deadlineMs, endByMs } });
  }, signal);
}
