/**
 * While the API server is unreachable, only the cordon keeps trying. This long after the last call without a response,
 * evictions try again too.
 */
export const maxHoldMs = 3000;

export interface CordonProgress {
  /** Whether the node takes no new pods, whoever cordoned it. */
  readonly isCordoned: boolean;
  /** Whether the agent is still trying to cordon. */
  readonly isTrying: boolean;
  /** Rest of the cordon's head start, milliseconds. */
  readonly headStartMs: number;
  /** Time since the drain's last call without a response, milliseconds; undefined: its last call had one. */
  readonly silentMs: number | undefined;
}

/**
 * Whether evictions wait for the cordon. Before the node is cordoned, the replacement of an evicted pod may be
 * scheduled on this very node and have to move again. If only the cordon fails while other calls get responses,
 * evictions go ahead.
 */
export function mustAwaitCordon({ isCordoned, isTrying, headStartMs, silentMs }: CordonProgress): boolean {
  if (isCordoned || !isTrying) return false;
  return headStartMs > 0 || (silentMs !== undefined && silentMs < maxHoldMs);
}
