/** A rate limit that allows a burst after a pause. The caller holds the state, because there is one per source. */
export interface TokenBucket {
  tokens: number;
  filledAtMs: number;
}

export interface Rate {
  /** 0: no limit. */
  readonly perSecond: number;
  readonly burst: number;
}

export function fullBucket({ burst }: Rate, nowMs: number): TokenBucket {
  return { tokens: burst, filledAtMs: nowMs };
}

/** Takes one token if one is left. `nowMs` must be monotonic. */
export function take(bucket: TokenBucket, { perSecond, burst }: Rate, nowMs: number): boolean {
  if (perSecond === 0) return true;
  if (nowMs > bucket.filledAtMs) {
    bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.filledAtMs) * perSecond) / 1000);
    bucket.filledAtMs = nowMs;
  }
  if (bucket.tokens < 1) return false;
  bucket.tokens--;
  return true;
}
