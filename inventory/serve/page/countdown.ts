/** `1:43` before an instant, `0:00` after it, `3 h` if it is far away. */
export function countdown(deadline: string, nowMs: number): string {
  const seconds = Math.max(0, Math.ceil((Date.parse(deadline) - nowMs) / 1000));
  if (seconds >= 7200) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** Remaining share of the usual two minutes, from 1 to 0. */
export function shareLeft(deadline: string, nowMs: number): number {
  return Math.min(1, Math.max(0, (Date.parse(deadline) - nowMs) / 120_000));
}

export function isGoing(status: string | undefined): boolean {
  return status === 'interrupted' || status === 'drained';
}
