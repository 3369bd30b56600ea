import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import type { GameExit } from '../life/lifecycle.ts';

export interface GameTree {
  /** The game's living processes. */
  processes(): readonly number[];
  /** One of the leased ports is bound. */
  holdsPort(): boolean;
  /** Its descendants too, wherever they went. */
  signalAll(signal: 'SIGTERM' | 'SIGKILL'): void;
  /** Only those that have left the process group, which no other signal has reached. */
  signalStrays(signal: 'SIGTERM'): void;
}

export interface TreeWatch {
  readonly tree: GameTree;
  /** The end is under way: what is left may take until the kill. */
  readonly isEnding: () => boolean;
  readonly isReady: () => boolean;
  readonly wasKilled: () => boolean;
  readonly clock: Clock;
  /** Milliseconds of a clock that nobody sets. */
  readonly upMs: () => number;
  readonly log: Log;
}

const firstPollMs = 10;
const maxPollMs = 250;
/** Between SIGTERM and SIGKILL for what a dead game leaves behind. */
const leftoverGraceMs = 5000;
/** A process that waits in the kernel (a hung disk) cannot be killed: we do not wait for it. */
const killedLimitMs = 2000;

/**
 * The first process has ended; waits for the rest of the game. A launcher that exits 0 may have put the game into the background: then its
 * descendants are the game as long as they hold a port, or until it is ready. Others are leftovers and go.
 */
export async function waitForTree(
  first: GameExit,
  { tree, isEnding, isReady, wasKilled, clock, upMs, log }: TreeWatch,
): Promise<GameExit> {
  const isLauncher = 'code' in first && first.code === 0;
  let wasBackground = false;
  let leftoverSinceMs: number | undefined;
  let killedSinceMs: number | undefined;
  let areStraysTold = false;
  for (let pollMs = firstPollMs; ; pollMs = Math.min(pollMs * 1.5, maxPollMs)) {
    const processes = tree.processes();
    if (processes.length === 0) break;
    if (wasKilled()) {
      killedSinceMs ??= upMs();
      if (upMs() - killedSinceMs > killedLimitMs) break;
    } else if (!isEnding()) {
      const isBackground = isLauncher && leftoverSinceMs === undefined && (tree.holdsPort() || !isReady());
      if (isBackground && !wasBackground) log.info({ processes }, 'Game went into the background');
      wasBackground ||= isBackground;
      if (!isBackground) leftoverSinceMs = endLeftovers(tree, leftoverSinceMs, upMs());
    } else if (!areStraysTold) {
      // The group has heard the stop itself, and may be saving: a second SIGTERM makes some games drop everything.
      tree.signalStrays('SIGTERM');
      areStraysTold = true;
    }
    await clock.sleep(pollMs);
  }
  return wasBackground && wasKilled() ? { signal: 'SIGKILL' } : first;
}

function endLeftovers(tree: GameTree, sinceMs: number | undefined, nowMs: number): number {
  if (sinceMs === undefined) tree.signalAll('SIGTERM');
  else if (nowMs - sinceMs > leftoverGraceMs) tree.signalAll('SIGKILL');
  return sinceMs ?? nowMs;
}
