import { randomBytes } from 'node:crypto';

const maxTtlSeconds = 21_600;
const maxLiveTokens = 10_000;

/** The session tokens of one metadata service. As on EC2, they end with the service. */
export class SessionTokens {
  readonly #expiryMs = new Map<string, number>();
  readonly #now: () => number;
  #maxLifeMs = maxTtlSeconds * 1_000;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Limits the life of new tokens regardless of the requested TTL, so that a client's own bookkeeping is wrong. */
  limitLife(maxLifeMs: number): void {
    this.#maxLifeMs = maxLifeMs;
  }

  /** Refuses all tokens issued so far, as after a stop and start of the instance. */
  revokeAll(): void {
    this.#expiryMs.clear();
  }

  /** Issues a token; undefined: the TTL is not a whole number of seconds from 1 to 21600. */
  issue(ttlText: string): { token: string; ttlSeconds: number } | undefined {
    const ttlSeconds = /^\d{1,5}$/.test(ttlText) ? Number(ttlText) : 0;
    if (ttlSeconds < 1 || ttlSeconds > maxTtlSeconds) return undefined;
    this.#makeRoom();
    // As EC2's: 56 characters that end in padding, which base64url omits.
    const token = `${randomBytes(40).toString('base64url')}==`;
    this.#expiryMs.set(token, this.#now() + Math.min(ttlSeconds * 1_000, this.#maxLifeMs));
    return { token, ttlSeconds };
  }

  /** Remaining seconds of the token; undefined: unknown or expired. */
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
