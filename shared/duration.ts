const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Parses `500ms`, `5s`, `2m` or `1.5h` into whole milliseconds; undefined: malformed. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/.exec(text.trim());
  const unit = unitMs[match?.[2] ?? ''];
  return match === null || unit === undefined ? undefined : Math.round(Number(match[1]) * unit);
}

/**
 * Formats milliseconds in the largest unit without a fraction, or else in seconds. {@link parseDuration} reads it back
 * as the same number, from 0 up to nine digits of seconds.
 */
export function formatDuration(ms: number): string {
  const wholeMs = Math.round(ms);
  for (const unit of ['h', 'm', 's'] as const) {
    const size = unitMs[unit] ?? 1;
    if (wholeMs !== 0 && wholeMs % size === 0) return `${wholeMs / size}${unit}`;
  }
  return Math.abs(wholeMs) >= 1000 ? `${wholeMs / 1000}s` : `${wholeMs}ms`;
}
