import { fullBucket, type Rate, type TokenBucket, take } from './token-bucket.ts';

export interface SessionLimits {
  readonly maxSessions: number;
  /** Of one source (see `sourceOf`): players behind one router share it. */
  readonly maxSessionsPerSource: number;
  /** New sessions of all sources together. */
  readonly creation: Rate;
  /** How long a session lives without a datagram of its player. */
  readonly idleMs: number;
  /** The same before it is established: an address that was made up never comes back. */
  readonly youngIdleMs: number;
  /** A session is established once its player has sent so many datagrams over so long. */
  readonly establishedAfterDatagrams: number;
  readonly establishedAfterMs: number;
  /** Share of `maxSessions` that young ones can take; beyond it the oldest young one goes. A flood fills only this. */
  readonly youngShare: number;
  readonly sourceRate: Rate;
}

/** One address or network; exists while it has sessions. */
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
  isYoung: boolean;
}

export type Refusal = 'sessions-full' | 'source-sessions-full' | 'session-rate';

/**
 * Which players have a session. Knows nothing of sockets: `E` is whatever the caller keeps for one. Times are milliseconds of
 * any clock that never runs backwards.
 */
export class SessionTable<E extends Entry> {
  readonly #limits: SessionLimits;
  readonly #entries = new Map<string, E>();
  /** In the order of their opening. */
  readonly #young = new Set<E>();
  readonly #sources = new Map<string, Source>();
  readonly #creation: TokenBucket;
  readonly #maxYoung: number;
  #sweep: Iterator<E> | undefined;

  constructor(limits: SessionLimits, nowMs: number) {
    this.#limits = limits;
    this.#creation = fullBucket(limits.creation, nowMs);
    this.#maxYoung = Math.max(1, Math.floor(limits.maxSessions * limits.youngShare));
  }

  get size(): number {
    return this.#entries.size;
  }

  get youngSize(): number {
    return this.#young.size;
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

  /** Whether a session more may be opened for this source now; a yes has spent a token of the creation rate. */
  admit(sourceName: string, nowMs: number): Refusal | undefined {
    const { maxSessions, maxSessionsPerSource, creation } = this.#limits;
    if ((this.#sources.get(sourceName)?.sessions ?? 0) >= maxSessionsPerSource) return 'source-sessions-full';
    if (this.#entries.size >= maxSessions && this.#young.size === 0) return 'sessions-full';
    return take(this.#creation, creation, nowMs) ? undefined : 'session-rate';
  }

  /** Whether {@link admit} would say `session-rate` to anybody: asked first in a flood, because it needs no address. */
  hasCreationLeft(nowMs: number): boolean {
    const { perSecond } = this.#limits.creation;
    if (perSecond === 0) return true;
    const earned = (Math.max(0, nowMs - this.#creation.filledAtMs) * perSecond) / 1000;
    return this.#creation.tokens + earned >= 1;
  }

  /** The session that must go before one more is added: the oldest young one, where the young or all places are taken. */
  toEvict(): E | undefined {
    const isFull = this.#entries.size >= this.#limits.maxSessions || this.#young.size >= this.#maxYoung;
    return isFull ? this.#young.values().next().value : undefined;
  }

  source(name: string, nowMs: number): Source {
    return this.#sources.get(name) ?? { name, sessions: 0, bucket: fullBucket(this.#limits.sourceRate, nowMs) };
  }

  /** Adds an admitted session. Its `isYoung` must be true. */
  add(entry: E): void {
    this.#entries.set(entry.key, entry);
    this.#young.add(entry);
    entry.source.sessions++;
    this.#sources.set(entry.source.name, entry.source);
  }

  remove(entry: E): void {
    if (this.#entries.get(entry.key) !== entry) return;
    this.#entries.delete(entry.key);
    this.#young.delete(entry);
    entry.source.sessions--;
    if (entry.source.sessions === 0) this.#sources.delete(entry.source.name);
  }

  /** Counts a datagram of the player; false: its source sends too fast, and the datagram is to be dropped. */
  touch(entry: E, nowMs: number): boolean {
    if (!take(entry.source.bucket, this.#limits.sourceRate, nowMs)) return false;
    entry.lastSeenMs = nowMs;
    entry.datagrams++;
    if (entry.isYoung && this.#isEstablished(entry, nowMs)) {
      entry.isYoung = false;
      this.#young.delete(entry);
    }
    return true;
  }

  /** Looks at up to `most` sessions, going on where the last call ended, and returns those that have expired. */
  expired(nowMs: number, most: number): readonly E[] {
    const gone: E[] = [];
    for (let looked = 0; looked < most; looked++) {
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

  #isIdle({ isYoung, lastSeenMs }: E, nowMs: number): boolean {
    return nowMs - lastSeenMs > (isYoung ? this.#limits.youngIdleMs : this.#limits.idleMs);
  }

  #isEstablished({ datagrams, openedAtMs }: E, nowMs: number): boolean {
    const { establishedAfterDatagrams, establishedAfterMs } = this.#limits;
    return datagrams >= establishedAfterDatagrams && nowMs - openedAtMs >= establishedAfterMs;
  }
}
