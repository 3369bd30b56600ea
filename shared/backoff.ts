export interface Backoff {
  readonly firstMs: number;
  readonly longestMs: number;
}

/**
 * How long to wait after the n-th failure in a row (from 1): doubled each time, with full jitter over its upper half, so that a
 * node's processes do not ask together.
 */
export function backoffMs({ firstMs, longestMs }: Backoff, failures: number, random: () => number): number {
  const ceiling = Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 20));
  return ceiling / 2 + (ceiling / 2) * random();
}
