/**
 * What is normal for one replica: how long the players' datagrams wait for its next reply. Learned from traffic, so that a game
 * that answers 60 times a second is missed sooner than one that answers twice. Counts are those of all sessions together.
 */
export interface Rhythm {
  readonly sends: number;
  readonly replies: number;
  /** Sends since the last reply. */
  readonly unanswered: number;
  /** How long the oldest of these has waited, milliseconds of time in which we were running; 0: none waits. */
  readonly waitedMs: number;
  /** Smoothed wait until a reply, and its mean deviation (the estimator of RFC 6298). */
  readonly typicalWaitMs: number;
  readonly deviationMs: number;
  /** Whether the last tick brought a reply. */
  readonly hasJustReplied: boolean;
}

export const newRhythm: Rhythm = {
  sends: 0,
  replies: 0,
  unanswered: 0,
  waitedMs: 0,
  typicalWaitMs: 0,
  deviationMs: 0,
  hasJustReplied: false,
};

export interface RhythmRules {
  /** How many replies in a row must be missing. */
  readonly missedReplies: number;
  /** A silence shorter than this is never one: games pause for garbage collection and disk. */
  readonly minSilenceMs: number;
}

/**
 * Takes in the totals at one tick. `elapsedMs` is the time since the last one as far as this process was running: a stall of
 * the proxy must not look like a silence of the replica, because its replies wait unread in the socket.
 */
export function observe(rhythm: Rhythm, totals: { sends: number; replies: number }, elapsedMs: number): Rhythm {
  const newSends = totals.sends - rhythm.sends;
  const isAnswered = totals.replies > rhythm.replies;
  if (!isAnswered) {
    // The first unanswered send is counted from the tick that saw it, so a wait is measured short by up to one tick.
    const waitedMs = rhythm.unanswered > 0 ? rhythm.waitedMs + elapsedMs : 0;
    return { ...rhythm, ...totals, unanswered: rhythm.unanswered + newSends, waitedMs, hasJustReplied: false };
  }
  const wait = rhythm.unanswered > 0 ? rhythm.waitedMs + elapsedMs : Math.min(elapsedMs, rhythm.typicalWaitMs);
  return {
    ...totals,
    hasJustReplied: true,
    unanswered: 0,
    waitedMs: 0,
    typicalWaitMs: rhythm.typicalWaitMs + (wait - rhythm.typicalWaitMs) / 8,
    deviationMs: rhythm.deviationMs + (Math.abs(wait - rhythm.typicalWaitMs) - rhythm.deviationMs) / 4,
  };
}

/** From how long a wait on the replica counts as silent. */
export function silenceMs(
  { typicalWaitMs, deviationMs }: Rhythm,
  { missedReplies, minSilenceMs }: RhythmRules,
): number {
  return Math.max(minSilenceMs, missedReplies * (typicalWaitMs + deviationMs));
}

export function isSilent(rhythm: Rhythm, rules: RhythmRules): boolean {
  return rhythm.unanswered >= rules.missedReplies && rhythm.waitedMs >= silenceMs(rhythm, rules);
}
