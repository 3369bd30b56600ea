export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * Milliseconds to wait after the n-th failure in a row (from 1): doubled each time up to `maxMs`, with jitter over the upper
 * half, so that a node's processes do not ask together. `random` answers from 0 to below 1.
 */
export function backoffMs({ firstMs, maxMs }: Backoff, failures: number, random: () => number): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 20));
  return ceiling / 2 + (ceiling / 2) * random();
}
