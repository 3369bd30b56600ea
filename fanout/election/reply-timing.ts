/**
 * How long players' datagrams usually wait for one replica's next reply. It is learned from traffic, so that a game
 * that replies 60 times a second is declared silent sooner than one that replies twice. Counts cover all sessions.
 */
export interface ReplyTiming {
  readonly sends: number;
  readonly replies: number;
  /** Datagrams sent since the last reply. */
  readonly unanswered: number;
  /** Age of the oldest unanswered datagram, without stalls of this process; 0: none. */
  readonly waitedMs: number;
  /** Smoothed wait for a reply and its mean deviation, estimated as in RFC 6298. */
  readonly typicalWaitMs: number;
  readonly deviationMs: number;
  /** Whether a reply arrived since the last tick. */
  readonly hasJustReplied: boolean;
}

export const initialReplyTiming: ReplyTiming = {
  sends: 0,
  replies: 0,
  unanswered: 0,
  waitedMs: 0,
  typicalWaitMs: 0,
  deviationMs: 0,
  hasJustReplied: false,
};

export interface SilenceRules {
  /** Minimum number of replies missing in a row. */
  readonly missedReplies: number;
  /** Shorter pauses never count as silence: games pause for garbage collection and disk access. */
  readonly minSilenceMs: number;
}

/**
 * Updates the timing with the totals at one tick. `elapsedMs` excludes stalls of this process: during a stall the
 * replies wait unread in the socket, and the replica is not silent.
 */
export function observeTraffic(
  timing: ReplyTiming,
  totals: { sends: number; replies: number },
  elapsedMs: number,
): ReplyTiming {
  const newSends = totals.sends - timing.sends;
  const isAnswered = totals.replies > timing.replies;
  if (!isAnswered) {
    // The wait starts at the tick that saw the first unanswered datagram, so it is short by up to one tick.
    const waitedMs = timing.unanswered > 0 ? timing.waitedMs + elapsedMs : 0;
    return { ...timing, ...totals, unanswered: timing.unanswered + newSends, waitedMs, hasJustReplied: false };
  }
  const wait = timing.unanswered > 0 ? timing.waitedMs + elapsedMs : Math.min(elapsedMs, timing.typicalWaitMs);
  return {
    ...totals,
    hasJustReplied: true,
    unanswered: 0,
    waitedMs: 0,
    typicalWaitMs: timing.typicalWaitMs + (wait - timing.typicalWaitMs) / 8,
    deviationMs: timing.deviationMs + (Math.abs(wait - timing.typicalWaitMs) - timing.deviationMs) / 4,
  };
}

/** The wait after which the replica counts as silent. */
export function silenceThresholdMs(
  { typicalWaitMs, deviationMs }: ReplyTiming,
  { missedReplies, minSilenceMs }: SilenceRules,
): number {
  return Math.max(minSilenceMs, missedReplies * (typicalWaitMs + deviationMs));
}

export function isSilent(timing: ReplyTiming, rules: SilenceRules): boolean {
  return timing.unanswered >= rules.missedReplies && timing.waitedMs >= silenceThresholdMs(timing, rules);
}
