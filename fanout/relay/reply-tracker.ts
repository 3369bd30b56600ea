/**
 * Counts the outstanding replies of one replica to one player, for games that reply once per datagram (requests, or
 * equal tick rates). The count is the replica's position in the player's stream: with it a change of primary neither
 * repeats nor loses a reply. A game that sends at its own pace never counts as one for one and is switched at once.
 */
export interface ReplyTracker {
  /** Datagrams sent to the replica that have no reply yet. */
  outstanding: number;
  /** Replies that matched a datagram, up to `maxRun`. Each unmatched reply halves it. */
  run: number;
  /** Minimum of `outstanding` in the current window. That many replies were lost, or are the replica's usual delay. */
  minOutstanding: number;
  sendsInWindow: number;
}

/** About a second of a fast game. A replica with more outstanding replies is not just briefly behind. */
const maxOutstanding = 64;
/** Datagrams per window. */
const windowSends = 64;
/** Replies that may be in flight at any time. If more stay outstanding for a whole window, the excess is lost. */
const usuallyOutstanding = 4;
/** After such a pause of the player no reply is in flight: those that are missing were lost. */
export const idleResetMs = 250;
/** Matched replies after which a game counts as one for one. */
const minRun = 8;
/**
 * From here a game may send five unsolicited datagrams (such as a farewell) before it no longer counts as one for one.
 */
const maxRun = 256;

export function newReplyTracker(): ReplyTracker {
  return { outstanding: 0, run: 0, minOutstanding: 0, sendsInWindow: 0 };
}

export function countSend(tracker: ReplyTracker): void {
  if (++tracker.outstanding > maxOutstanding) resetTracker(tracker);
  tracker.minOutstanding = Math.min(tracker.minOutstanding, tracker.outstanding);
  if (++tracker.sendsInWindow < windowSends) return;
  tracker.outstanding -= Math.max(0, tracker.minOutstanding - usuallyOutstanding);
  tracker.sendsInWindow = 0;
  tracker.minOutstanding = maxOutstanding;
}

export function countReply(tracker: ReplyTracker): void {
  if (tracker.outstanding === 0) tracker.run >>= 1;
  else {
    tracker.outstanding--;
    tracker.run = Math.min(tracker.run + 1, maxRun);
    tracker.minOutstanding = Math.min(tracker.minOutstanding, tracker.outstanding);
  }
}

export function clearOutstanding(tracker: ReplyTracker): void {
  tracker.outstanding = 0;
}

export function resetTracker(tracker: ReplyTracker): void {
  tracker.outstanding = 0;
  tracker.run = 0;
}

/**
 * Adds the datagrams sent while the socket was muted and the replies that the kernel counted. An implausible difference
 * resets the tracker.
 */
export function catchUp(tracker: ReplyTracker, sends: number, replies: number): void {
  const outstanding = tracker.outstanding + sends - replies;
  if (outstanding < 0 || outstanding > maxOutstanding) resetTracker(tracker);
  else {
    tracker.outstanding = outstanding;
    tracker.run = Math.min(tracker.run + replies, maxRun);
    tracker.minOutstanding = 0;
    tracker.sendsInWindow = 0;
  }
}

/**
 * Few outstanding compared with many matched: a game that answers every third datagram has twice as many outstanding as
 * matched.
 */
export function isOneForOne({ outstanding, run }: ReplyTracker): boolean {
  return run >= minRun && outstanding <= run / 4;
}

export interface Switchover {
  /** Replies of the new primary to drop: the old one has already sent them. */
  readonly skip: number;
  /** Replies of the old primary to forward before the new one's: the new one is ahead. */
  readonly tail: number;
}

/**
 * Decides where the replies of the old primary end and those of the new one begin. `waits`: the old one still replies.
 */
export function planSwitchover(from: ReplyTracker | undefined, to: ReplyTracker, waits: boolean): Switchover {
  if (from === undefined || !isOneForOne(from) || !isOneForOne(to)) return { skip: 0, tail: 0 };
  const ahead = to.outstanding - from.outstanding;
  if (ahead >= 0) return { skip: ahead, tail: 0 };
  return { skip: 0, tail: waits ? -ahead : 0 };
}
