const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `500ms`, `5s`, `2m`, `1.5h` in whole milliseconds; undefined where the text is no duration. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/.exec(text.trim());
  const unit = unitMs[match?.[2] ?? ''];
  return match === null || unit === undefined ? undefined : Math.round(Number(match[1]) * unit);
}

/**
 * Milliseconds, rounded to whole ones, in the largest unit that needs no fraction, or else in seconds. {@link parseDuration}
 * reads it back as the same number from 0 up to its nine digits of seconds.
 */
export function formatDuration(ms: number): string {
  const wholeMs = Math.round(ms);
  for (const unit of ['h', 'm', 's'] as const) {
    const size = unitMs[unit] ?? 1;
    if (wholeMs !== 0 && wholeMs % size === 0) return `${wholeMs / size}${unit}`;
  }
  return Math.abs(wholeMs) >= 1000 ? `${wholeMs / 1000}s` : `${wholeMs}ms`;
}
