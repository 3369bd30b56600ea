import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import type { GameExit } from '../life/lifecycle.ts';
import type { GameTree } from './game-tree.ts';
import type { GameProcessList } from './process-table.ts';

export interface TreeWatch {
  readonly tree: Pick<GameTree, 'list' | 'isPortBound' | 'includesGame' | 'sendToAll'>;
  /** Whether the end is under way: remaining processes may then run until the kill. */
  readonly isEnding: () => boolean;
  readonly isReady: () => boolean;
  readonly wasKilled: () => boolean;
  readonly clock: Clock;
  /** Milliseconds of a monotonic clock. */
  readonly upMs: () => number;
  readonly log: Log;
}

const firstPollMs = 10;
const maxPollMs = 250;
/** Time between SIGTERM and SIGKILL for processes that a dead game leaves behind. */
const leftoverGraceMs = 5000;
/** A process that waits in the kernel (a hung disk) cannot be killed: do not wait for it longer than this. */
const killedLimitMs = 2000;

/**
 * Waits for the rest of the game after its first process has ended. A launcher that exits 0 may have put the game into
 * the background: then its descendants are the game as long as they hold a port, or until it is ready. Other processes
 * are leftovers and are ended. While the end is under way the game may take until the kill: it has received the stop
 * itself, or from its launcher.
 */
export async function waitForTree(
  first: GameExit,
  { tree, isEnding, isReady, wasKilled, clock, upMs, log }: TreeWatch,
): Promise<GameExit> {
  const isLauncher = 'code' in first && first.code === 0;
  let wasBackground = false;
  let leftoverSinceMs: number | undefined;
  let killedSinceMs: number | undefined;
  const isGame = ({ entries }: GameProcessList): boolean =>
    isEnding() ? tree.includesGame(entries) !== false : isLauncher && (tree.isPortBound() || !isReady());
  for (let pollMs = firstPollMs; ; pollMs = Math.min(pollMs * 1.5, maxPollMs)) {
    const list = tree.list();
    // A background game whose processes we may not see shows by its port alone.
    if (list.entries.length === 0 && (list.isComplete || !isLauncher || !tree.isPortBound())) break;
    if (wasKilled()) {
      killedSinceMs ??= upMs();
      if (upMs() - killedSinceMs > killedLimitMs) break;
    } else if (leftoverSinceMs !== undefined || !isGame(list))
      leftoverSinceMs = endLeftovers(tree, leftoverSinceMs, upMs());
    else if (!isEnding() && !wasBackground) {
      log.info({ processes: list.entries.map(({ pid }) => pid) }, 'Game went into the background');
      wasBackground = true;
    }
    await clock.sleep(pollMs);
  }
  return wasBackground && wasKilled() ? { signal: 'SIGKILL' } : first;
}

function endLeftovers(tree: TreeWatch['tree'], sinceMs: number | undefined, nowMs: number): number {
  if (sinceMs === undefined) tree.sendToAll('SIGTERM');
  else if (nowMs - sinceMs > leftoverGraceMs) tree.sendToAll('SIGKILL');
  return sinceMs ?? nowMs;
}
