import { fullBucket, type Rate, type TokenBucket, take } from './token-bucket.ts';

export interface SessionLimits {
  readonly maxSessions: number;
  /** Per source network; players behind one router share it. */
  readonly maxSessionsPerSource: number;
  /** New sessions, over all sources. */
  readonly creation: Rate;
  /** A session expires after this time without a datagram of its player. */
  readonly idleMs: number;
  /** The same for an unconfirmed session: a made-up address never sends again. */
  readonly unconfirmedIdleMs: number;
  /** A session is confirmed once its player has sent this many datagrams over this much time. */
  readonly confirmedAfterDatagrams: number;
  readonly confirmedAfterMs: number;
  /**
   * Share of `maxSessions` for unconfirmed sessions. Above it the oldest one is evicted, so a flood fills only this
   * share.
   */
  readonly unconfirmedShare: number;
  readonly sourceRate: Rate;
}

/** One source network; exists while it has sessions. */
export interface Source {
  readonly name: string;
  sessions: number;
  readonly bucket: TokenBucket;
}

export interface Entry {
  readonly key: string;
  readonly source: Source;
  readonly openedAtMs: number;
  lastSeenMs: number;
  datagrams: number;
  isUnconfirmed: boolean;
}

export type Refusal = 'sessions-full' | 'source-sessions-full' | 'session-rate';

/** The sessions by player, within limits. `E` is the caller's session. Times are milliseconds of a monotonic clock. */
export class SessionTable<E extends Entry> {
  readonly #limits: SessionLimits;
  readonly #entries = new Map<string, E>();
  /** In the order in which they were opened. */
  readonly #unconfirmed = new Set<E>();
  readonly #sources = new Map<string, Source>();
  readonly #creation: TokenBucket;
  readonly #maxUnconfirmed: number;
  #sweep: Iterator<E> | undefined;

  constructor(limits: SessionLimits, nowMs: number) {
    this.#limits = limits;
    this.#creation = fullBucket(limits.creation, nowMs);
    this.#maxUnconfirmed = Math.max(1, Math.floor(limits.maxSessions * limits.unconfirmedShare));
  }

  get size(): number {
    return this.#entries.size;
  }

  get unconfirmedSize(): number {
    return this.#unconfirmed.size;
  }

  get sources(): number {
    return this.#sources.size;
  }

  find(key: string): E | undefined {
    return this.#entries.get(key);
  }

  all(): IterableIterator<E> {
    return this.#entries.values();
  }

  /** Whether this source may open another session now; undefined: yes, and one token of the creation rate is spent. */
  admit(sourceName: string, nowMs: number): Refusal | undefined {
    const { maxSessions, maxSessionsPerSource, creation } = this.#limits;
    if ((this.#sources.get(sourceName)?.sessions ?? 0) >= maxSessionsPerSource) return 'source-sessions-full';
    if (this.#entries.size >= maxSessions && this.#unconfirmed.size === 0) return 'sessions-full';
    return take(this.#creation, creation, nowMs) ? undefined : 'session-rate';
  }

  /** Whether {@link admit} could succeed at all. Asked first during a flood, because it needs no address. */
  hasCreationLeft(nowMs: number): boolean {
    const { perSecond } = this.#limits.creation;
    if (perSecond === 0) return true;
    const earned = (Math.max(0, nowMs - this.#creation.filledAtMs) * perSecond) / 1000;
    return this.#creation.tokens + earned >= 1;
  }

  /**
   * The session to evict before one is added: the oldest unconfirmed one, if the table or the unconfirmed share is
   * full.
   */
  toEvict(): E | undefined {
    const isFull = this.#entries.size >= this.#limits.maxSessions || this.#unconfirmed.size >= this.#maxUnconfirmed;
    return isFull ? this.#unconfirmed.values().next().value : undefined;
  }

  source(name: string, nowMs: number): Source {
    return this.#sources.get(name) ?? { name, sessions: 0, bucket: fullBucket(this.#limits.sourceRate, nowMs) };
  }

  /** Adds an admitted, unconfirmed session. */
  add(entry: E): void {
    this.#entries.set(entry.key, entry);
    this.#unconfirmed.add(entry);
    entry.source.sessions++;
    this.#sources.set(entry.source.name, entry.source);
  }

  remove(entry: E): void {
    if (this.#entries.get(entry.key) !== entry) return;
    this.#entries.delete(entry.key);
    this.#unconfirmed.delete(entry);
    entry.source.sessions--;
    if (entry.source.sessions === 0) this.#sources.delete(entry.source.name);
  }

  /** Counts a player's datagram; false: its source exceeds its rate, and the datagram must be dropped. */
  touch(entry: E, nowMs: number): boolean {
    if (!take(entry.source.bucket, this.#limits.sourceRate, nowMs)) return false;
    entry.lastSeenMs = nowMs;
    entry.datagrams++;
    if (entry.isUnconfirmed && this.#isConfirmed(entry, nowMs)) {
      entry.isUnconfirmed = false;
      this.#unconfirmed.delete(entry);
    }
    return true;
  }

  /** Checks up to `max` sessions, continuing after those of the last call, and returns the expired ones. */
  expired(nowMs: number, max: number): readonly E[] {
    const gone: E[] = [];
    for (let looked = 0; looked < max; looked++) {
      this.#sweep ??= this.#entries.values();
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = undefined;
        break;
      }
      if (this.#isIdle(next.value, nowMs)) gone.push(next.value);
    }
    return gone;
  }

  #isIdle({ isUnconfirmed, lastSeenMs }: E, nowMs: number): boolean {
    return nowMs - lastSeenMs > (isUnconfirmed ? this.#limits.unconfirmedIdleMs : this.#limits.idleMs);
  }

  #isConfirmed({ datagrams, openedAtMs }: E, nowMs: number): boolean {
    const { confirmedAfterDatagrams, confirmedAfterMs } = this.#limits;
    return datagrams >= confirmedAfterDatagrams && nowMs - openedAtMs >= confirmedAfterMs;
  }
}
