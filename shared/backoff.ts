export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * Pause after the n-th consecutive failure (from 1), milliseconds: doubled each time up to `maxMs`, with jitter over
 * the upper half, so that a node's processes do not retry together. `random` returns 0 to below 1.
 */
export function backoffMs({ firstMs, maxMs }: Backoff, failures: number, random: () => number): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 20));
  return ceiling / 2 + (ceiling / 2) * random();
}
