import { type Backoff, backoffMs } from '../../shared/backoff.ts';
import type { Clock } from '../../shared/clock.ts';
import type { InterruptionKind, Notice } from '../../shared/interruption/interruption.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { GarbageError, type NoticeSource } from './notice-source.ts';
import type { Observation } from './track-interruption.ts';

/** How one reading of one source went. */
export type ReadingOutcome = 'read' | 'failed' | 'garbage';

export interface PollNoticesOptions {
  readonly sources: readonly NoticeSource[];
  readonly clock: Clock;
  readonly log: Log;
  readonly intervalMs: number;
  readonly onReading?: (source: NoticeSource, outcome: ReadingOutcome) => void;
  /** A look at all sources has ended, well or not. */
  readonly onLook?: () => void;
  readonly random?: () => number;
}

/** A look that failed is repeated soon: a spot node has at most two minutes. */
const afterFailure: Backoff = { firstMs: 200, maxMs: 2000 };

/** Looks at every source for ever, until the signal aborts. No failure ends it; changes of health are logged once a source. */
export async function* pollNotices(
  options: PollNoticesOptions,
  signal: AbortSignal,
): AsyncGenerator<Observation, void> {
  const { sources, clock, log, intervalMs, random = Math.random } = options;
  const readings = sources.map((source) => new Reading(source, log, options.onReading));
  let failures = 0;
  for (let look = 0; !signal.aborted; look++) {
    await Promise.all(readings.map((reading) => reading.renew(look, signal)));
    if (signal.aborted) return;
    options.onLook?.();
    failures = readings.some(({ isFailing }) => isFailing) ? failures + 1 : 0;
    yield observe(readings);
    // While one source fails the others are read as often as ever; the failing one sets a pace of its own where it is quicker.
    const pauseMs = intervalMs * (0.9 + 0.2 * random());
    const retryMs = failures > 0 ? backoffMs(afterFailure, failures, random) : pauseMs;
    await clock.sleep(Math.min(pauseMs, retryMs), signal).catch(() => {});
  }
}

/** A notice that two sources announce is taken from the first one. A kind is seen where the first source that names it was read. */
function observe(readings: readonly Reading[]): Observation {
  const notices = new Map<string, Notice>();
  const blindTo = new Set<InterruptionKind>();
  for (const { source, notices: found, isSeeing } of readings) {
    for (const notice of found) if (!notices.has(notice.id)) notices.set(notice.id, notice);
    if (!isSeeing) for (const kind of source.kinds) blindTo.add(kind);
  }
  return { notices: [...notices.values()], blindTo };
}

/** What one source said when it was last read. */
class Reading {
  readonly source: NoticeSource;
  readonly #log: Log;
  readonly #onReading: PollNoticesOptions['onReading'];
  #notices: readonly Notice[] = [];
  #failures = 0;
  /** Read in this very look, and with success: only then what is missing is absent. */
  isSeeing = false;

  constructor(source: NoticeSource, log: Log, onReading: PollNoticesOptions['onReading']) {
    this.source = source;
    this.#log = log;
    this.#onReading = onReading;
  }

  get notices(): readonly Notice[] {
    return this.#notices;
  }

  get isFailing(): boolean {
    return this.#failures > 0;
  }

  async renew(look: number, signal: AbortSignal): Promise<void> {
    const { name, everyLooks } = this.source;
    this.isSeeing = false;
    if (this.#failures === 0 && look % everyLooks !== 0) return;
    try {
      this.#notices = await this.source.look(signal);
      if (this.#failures > 0)
        this.#log.info({ source: name, failures: this.#failures }, 'Interruption notices are readable again');
      this.#failures = 0;
      this.isSeeing = true;
      this.#onReading?.(this.source, 'read');
    } catch (error) {
      if (signal.aborted) return;
      this.#failures++;
      if (this.#failures === 1)
        this.#log.warn({ source: name, err: errorText(error) }, 'Cannot read interruption notices');
      this.#onReading?.(this.source, error instanceof GarbageError ? 'garbage' : 'failed');
    }
  }
}
