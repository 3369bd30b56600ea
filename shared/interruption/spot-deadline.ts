/** EC2 takes a spot instance two minutes after its notice, never later. */
export const spotNoticeMs = 120_000;

/**
 * An instance that is alive this long after the announced time is not taken at that time: EC2 is late by seconds, not
 * minutes.
 */
const maxLateMs = 60_000;

/**
 * When a spot instance is taken: as announced, but at most two minutes after its notice was first seen. An announced
 * time that the instance has outlived, or that could not be read, leaves `assumedNoticeMs` from then. All times are
 * epoch milliseconds.
 */
export function spotDeadline(announcedMs: number | undefined, firstSeenMs: number, assumedNoticeMs: number): number {
  const isUsable = announcedMs !== undefined && announcedMs >= firstSeenMs - maxLateMs;
  const noticeMs = isUsable ? announcedMs - firstSeenMs : assumedNoticeMs;
  return firstSeenMs + Math.min(noticeMs, spotNoticeMs);
}
