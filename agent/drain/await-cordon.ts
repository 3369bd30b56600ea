/** While the API server is away the cordon alone looks for it; so long after its last silence evictions do too. */
export const maxHoldMs = 3000;

export interface CordonProgress {
  /** Whether the node takes no new pods, whoever has cordoned it. */
  readonly isCordoned: boolean;
  /** Whether the cordon is still being tried. */
  readonly isTrying: boolean;
  /** What is left of the cordon's head start, milliseconds. */
  readonly headStartMs: number;
  /** How long ago the drain's last call had no answer, milliseconds; undefined where it had one. */
  readonly silentMs: number | undefined;
}

/**
 * Whether evictions wait for the cordon. Evicted before it stands, a pod's replacement may be put on this very node,
 * and has to go a second time. A cordon that cannot be had while other calls are answered holds nothing up.
 */
export function mustAwaitCordon({ isCordoned, isTrying, headStartMs, silentMs }: CordonProgress): boolean {
  if (isCordoned || !isTrying) return false;
  return headStartMs > 0 || (silentMs !== undefined && silentMs < maxHoldMs);
}
