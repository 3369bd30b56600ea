import type { Clock } from '../../shared/clock.ts';
import type { InterruptionKind, Notice } from '../../shared/interruption/interruption.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { NewCauses } from '../../shared/new-causes.ts';
import { type Backoff, RetryPause } from '../../shared/retry.ts';
import { GarbageError, type NoticeSource } from './notice-source.ts';
import type { Observation } from './track-interruption.ts';

/** The outcome of one reading. `partial`: readable, with remarks. */
export type ReadingOutcome = 'read' | 'partial' | 'failed' | 'garbage';

export interface PollNoticesOptions {
  readonly sources: readonly NoticeSource[];
  readonly clock: Clock;
  readonly log: Log;
  readonly intervalMs: number;
  readonly onReading?: (source: NoticeSource, outcome: ReadingOutcome) => void;
  /** A source announced something unreadable, for the first time. */
  readonly onRemark?: (source: NoticeSource) => void;
  /** A reading has ended, whether or not it succeeded. */
  readonly onLook?: () => void;
  readonly random?: () => number;
}

/** A failed reading is repeated soon, because a spot node has at most two minutes. */
const afterFailure: Backoff = { firstMs: 200, maxMs: 2000 };

/**
 * Polls every source at its own interval until the signal aborts. A slow or hanging source delays no notice of another.
 * Yields all current notices after each reading. Failures never end it; each source's changes of health are logged
 * once.
 */
export async function* pollNotices(
  options: PollNoticesOptions,
  signal: AbortSignal,
): AsyncGenerator<Observation, void> {
  const readings = options.sources.map((source) => new Reading(source, options));
  // Read all sources first: an earlier agent's mark must not be judged by only some of them.
  await Promise.all(readings.map((reading) => reading.renew(signal)));
  const fresh = new Set(readings);
  let change = Promise.withResolvers<void>();
  const stopped = new AbortController();
  const until = AbortSignal.any([signal, stopped.signal]);
  const onRenewed = (reading: Reading) => {
    fresh.add(reading);
    change.resolve();
  };
  for (const reading of readings) void reading.keepRenewing(onRenewed, until);
  until.addEventListener('abort', () => change.resolve(), { once: true });
  try {
    while (!signal.aborted) {
      const observation = observe(readings, fresh);
      fresh.clear();
      yield observation;
      await change.promise;
      change = Promise.withResolvers();
    }
  } finally {
    stopped.abort();
  }
}

/** If two sources announce the same notice, the first source's version is used. */
function observe(readings: readonly Reading[], fresh: ReadonlySet<Reading>): Observation {
  const notices = new Map<string, Notice>();
  const seen = new Set<InterruptionKind>();
  const blindTo = new Set<InterruptionKind>();
  for (const reading of readings) {
    for (const notice of reading.notices) if (!notices.has(notice.id)) notices.set(notice.id, notice);
    const kinds = reading.isFailing ? blindTo : seen;
    if (reading.isFailing || fresh.has(reading)) for (const kind of reading.source.kinds) kinds.add(kind);
  }
  return { notices: [...notices.values()], seen, blindTo };
}

/** The last reading of one source. */
class Reading {
  readonly source: NoticeSource;
  readonly #options: PollNoticesOptions;
  #notices: readonly Notice[] = [];
  readonly #said = new NewCauses();
  readonly #causes = new NewCauses();
  readonly #retries: RetryPause;

  constructor(source: NoticeSource, options: PollNoticesOptions) {
    this.source = source;
    this.#options = options;
    this.#retries = new RetryPause({ backoff: afterFailure, clock: options.clock, random: options.random });
  }

  get notices(): readonly Notice[] {
    return this.#notices;
  }

  get isFailing(): boolean {
    return this.#retries.failures > 0;
  }

  async keepRenewing(onRenewed: (reading: Reading) => void, signal: AbortSignal): Promise<void> {
    const { clock, intervalMs, random = Math.random } = this.#options;
    for (;;) {
      const pauseMs = intervalMs * (0.9 + 0.2 * random());
      const retryMs = Math.min(pauseMs, this.#retries.nextMs());
      await clock.sleep(this.isFailing ? retryMs : pauseMs * this.source.everyLooks, signal).catch(() => {});
      if (signal.aborted) return;
      await this.renew(signal);
      onRenewed(this);
    }
  }

  async renew(signal: AbortSignal): Promise<void> {
    const { log, onReading, onLook } = this.#options;
    const { name } = this.source;
    try {
      const { notices, remarks } = await this.source.look(signal);
      this.#notices = notices;
      this.#note(remarks);
      if (this.isFailing)
        log.info({ source: name, failures: this.#retries.failures }, 'Interruption notices readable again');
      this.#retries.progressed();
      this.#causes.clear();
      onReading?.(this.source, remarks.length === 0 ? 'read' : 'partial');
    } catch (error) {
      if (signal.aborted) return;
      this.#retries.failed();
      const err = errorText(error);
      if (this.#causes.isNew(err)) log.warn({ source: name, err }, 'Cannot read interruption notices');
      onReading?.(this.source, error instanceof GarbageError ? 'garbage' : 'failed');
    }
    onLook?.();
  }

  #note(remarks: readonly string[]): void {
    const { log, onRemark } = this.#options;
    for (const remark of remarks) {
      // A document that changes at every reading must not fill the log.
      if (!this.#said.isNew(remark)) continue;
      log.warn({ source: this.source.name, remark }, 'Interruption notice partly unreadable');
      onRemark?.(this.source);
    }
  }
}
