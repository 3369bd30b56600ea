import { randomBytes } from 'node:crypto';

const maxTtlSeconds = 21_600;
const maxLiveTokens = 10_000;

/** The session tokens of one metadata service. They live by its clock and, as on EC2, only as long as it does. */
export class SessionTokens {
  readonly #expiryMs = new Map<string, number>();
  readonly #now: () => number;
  #maxLifeMs = maxTtlSeconds * 1_000;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** From now on tokens live no longer than this, whatever was asked for: a client's own bookkeeping is then wrong. */
  limitLife(maxLifeMs: number): void {
    this.#maxLifeMs = maxLifeMs;
  }

  /** Every token given out so far is refused from now on, as after the instance was stopped and started. */
  revokeAll(): void {
    this.#expiryMs.clear();
  }

  /** A new token; undefined when the TTL is not a whole number of seconds from 1 to 21600. */
  issue(ttlText: string): { token: string; ttlSeconds: number } | undefined {
    const ttlSeconds = /^\d{1,5}$/.test(ttlText) ? Number(ttlText) : 0;
    if (ttlSeconds < 1 || ttlSeconds > maxTtlSeconds) return undefined;
    this.#makeRoom();
    // As EC2's: 56 characters that end in the padding which base64url leaves out.
    const token = `${randomBytes(40).toString('base64url')}==`;
    this.#expiryMs.set(token, this.#now() + Math.min(ttlSeconds * 1_000, this.#maxLifeMs));
    return { token, ttlSeconds };
  }

  /** Seconds that the token still lives; undefined for one that is unknown or expired. */
  secondsLeft(token: string): number | undefined {
    const leftMs = (this.#expiryMs.get(token) ?? 0) - this.#now();
    return leftMs > 0 ? Math.ceil(leftMs / 1_000) : undefined;
  }

  #makeRoom(): void {
    if (this.#expiryMs.size < maxLiveTokens) return;
    for (const token of this.#expiryMs.keys()) if (this.secondsLeft(token) === undefined) this.#expiryMs.delete(token);
    const [oldest] = this.#expiryMs.keys();
    if (oldest !== undefined && this.#expiryMs.size >= maxLiveTokens) this.#expiryMs.delete(oldest);
  }
}
