import type { InterruptionKind, Notice } from '../../shared/interruption/interruption.ts';

/** Something that announces interruptions. */
export interface NoticeSource {
  readonly name: string;
  /** What it announces, and what is out of sight while it cannot be read. */
  readonly kinds: readonly InterruptionKind[];
  /** It is read every so many intervals. */
  readonly everyLooks: number;
  /** What is announced now. Rejects where it cannot tell. */
  readonly look: (signal: AbortSignal) => Promise<Sighting>;
}

/** What one source announces. */
export interface Sighting {
  readonly notices: readonly Notice[];
  /** What in its answer could not be read, and what was assumed in its place. */
  readonly remarks: readonly string[];
}

/** A source answered, with something that makes no sense. */
export class GarbageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'GarbageError';
  }
}
