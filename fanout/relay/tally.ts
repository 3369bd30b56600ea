/**
 * What one replica owes one player, as far as it answers one for one (requests and answers, or equal tick rates). It tells where
 * in the player's stream the replica is, so that a change of primary neither repeats nor loses an answer. A game that sends
 * when it likes never counts as one for one, and is switched without ceremony.
 */
export interface Tally {
  /** Datagrams sent to the replica and not answered yet. */
  owed: number;
  /** Answers that had a datagram to answer, up to `maxRun`. Each that had none halves it. */
  run: number;
  /** The fewest owed since `lookedAt` sends ago: what never goes away was lost, or is the replica's usual delay. */
  minOwed: number;
  lookedAt: number;
}

/** More than this unanswered is no longer a replica that is behind for a moment: about a second of a fast game. */
const maxOwed = 64;
/** So many sends are looked at together. */
const lookEvery = 64;
/** So many datagrams may always be on their way. What is owed beyond that all the time got lost, and is owed no more. */
const usuallyOwed = 4;
/** A player who sends nothing for so long is owed nothing more: whatever was to come has come. */
export const settledAfterMs = 250;
/** So many answers that had a datagram to answer are taken as the rule. */
const enoughRun = 8;
/** From here a game may say five things of its own accord (that it closes, say) before it no longer counts as one for one. */
const maxRun = 256;

export function newTally(): Tally {
  return { owed: 0, run: 0, minOwed: 0, lookedAt: 0 };
}

export function countSend(tally: Tally): void {
  if (++tally.owed > maxOwed) forget(tally);
  tally.minOwed = Math.min(tally.minOwed, tally.owed);
  if (++tally.lookedAt < lookEvery) return;
  tally.owed -= Math.max(0, tally.minOwed - usuallyOwed);
  tally.lookedAt = 0;
  tally.minOwed = maxOwed;
}

export function countReply(tally: Tally): void {
  if (tally.owed === 0) tally.run >>= 1;
  else {
    tally.owed--;
    tally.run = Math.min(tally.run + 1, maxRun);
    tally.minOwed = Math.min(tally.minOwed, tally.owed);
  }
}

/** After a pause in which everything that would be answered has been: what is still owed was lost. */
export function settle(tally: Tally): void {
  tally.owed = 0;
}

/** Starts over: nothing is known of what the replica owes. */
export function forget(tally: Tally): void {
  tally.owed = 0;
  tally.run = 0;
}

/**
 * Takes in what happened while the replica's replies were not read: `sends` to it and `replies` counted elsewhere (by the
 * kernel). Without a plausible difference nothing is known any more.
 */
export function catchUp(tally: Tally, sends: number, replies: number): void {
  const owed = tally.owed + sends - replies;
  if (owed < 0 || owed > maxOwed) forget(tally);
  else {
    tally.owed = owed;
    tally.run = Math.min(tally.run + replies, maxRun);
    tally.minOwed = 0;
    tally.lookedAt = 0;
  }
}

/** Few unanswered against many answered: a game that answers every third datagram has twice as many owed as answered. */
export function isOneForOne({ owed, run }: Tally): boolean {
  return run >= enoughRun && owed <= run / 4;
}

/** What to do with the answers of the old and the new primary. */
export interface Cut {
  /** Answers of the new one to drop: the old one has given them. */
  readonly skip: number;
  /** Answers of the old one still to pass on before the new one's: the new one is ahead. */
  readonly tail: number;
}

/** Where to cut one player's stream of answers. `waits`: whether the old primary still answers. */
export function planCut(from: Tally | undefined, to: Tally, waits: boolean): Cut {
  if (from === undefined || !isOneForOne(from) || !isOneForOne(to)) return { skip: 0, tail: 0 };
  const ahead = to.owed - from.owed;
  if (ahead >= 0) return { skip: ahead, tail: 0 };
  return { skip: 0, tail: waits ? -ahead : 0 };
}
