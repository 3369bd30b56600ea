import type { InterruptionKind, Notice } from '../../shared/interruption/interruption.ts';

/** A source of interruption notices. */
export interface NoticeSource {
  readonly name: string;
  /** The kinds that it announces, and that are unknown while it is unreadable. */
  readonly kinds: readonly InterruptionKind[];
  /** Poll on every Nth interval. */
  readonly everyLooks: number;
  /** Reads the current notices. Rejects if the source is unreadable. */
  readonly look: (signal: AbortSignal) => Promise<Sighting>;
}

/** The notices of one source. */
export interface Sighting {
  readonly notices: readonly Notice[];
  /** Unreadable parts of the response, and the assumptions made for them. */
  readonly remarks: readonly string[];
}

/** A source gave a malformed response. */
export class GarbageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'GarbageError';
  }
}
