import { CheckedClock } from '../shared/checked-clock.ts';
import type { Clock } from '../shared/clock.ts';
import type { Notice } from '../shared/interruption/interruption.ts';
import { parseSpotNotice, spotNoticePath } from '../shared/interruption/parse-spot-notice.ts';
import { spotDeadline, spotNoticeMs } from '../shared/interruption/spot-deadline.ts';
import { errorText, type Log } from '../shared/log.ts';
import { type Instance, instanceFacts, readInstance, unknownInstance } from '../shared/metadata/instance.ts';
import { MetadataClient } from '../shared/metadata/metadata-client.ts';
import { NewCauses } from '../shared/new-causes.ts';

/*
 * The wrapper's own poll of the metadata service, for nodes without an agent. A dynamic import loads it after the game
 * has started: a wrapper with an agent needs neither it nor node:http.
 */

/** AWS advises five seconds. An agent polls faster, and once for the whole node. */
const pollMs = 5000;
const minPauseMs = 500;
/** Ignore smaller moves of a deadline. */
const minMoveMs = 1000;

export interface MetadataWatchOptions {
  readonly endpoint: URL;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

/** A notice with a known deadline, in epoch milliseconds of this machine's wall clock. */
export interface SpotInterruption extends Notice {
  readonly deadlineMs: number;
}

export interface NoticeWatch {
  /** While this returns false, do not poll. */
  readonly isNeeded: () => boolean;
  /** Returns a signal that aborts when there is reason to poll early, or has aborted since the last poll. */
  readonly hinted: () => AbortSignal;
  readonly onNotice: (interruption: SpotInterruption) => void;
}

export class MetadataWatch {
  readonly #options: MetadataWatchOptions;
  readonly #client: MetadataClient;
  readonly #time: CheckedClock;
  readonly #remarks = new NewCauses();
  #instanceId: string | undefined;
  #isFailing = false;
  #firstSeenMs: number | undefined;
  /** The soonest deadline so far: EC2 never gives more time than it first said. */
  #deadlineMs = Number.POSITIVE_INFINITY;

  constructor(options: MetadataWatchOptions) {
    const { endpoint, clock, log } = options;
    this.#options = options;
    this.#time = new CheckedClock({ wall: clock, monotonicMs: () => performance.now() });
    this.#client = new MetadataClient({ endpoint, clock, onDate: this.#time.listen('metadata', log) });
  }

  /** The instance's facts; empty if the service does not answer, after one more try. */
  async readInstance(signal: AbortSignal): Promise<Instance> {
    let instance = unknownInstance;
    let missing = instanceFacts;
    for (let attempt = 1; attempt <= 2 && missing.length > 0; attempt++) {
      const reading = await readInstance(this.#client, missing, signal).catch(() => undefined);
      if (reading === undefined) break;
      instance = { ...instance, ...reading.facts };
      missing = reading.missing;
      const [problem] = reading.problems;
      if (problem !== undefined && missing.length === instanceFacts.length) this.#fail(problem);
      else if (problem !== undefined && attempt === 2)
        this.#options.log.warn({ err: errorText(problem), missing }, 'Cannot read instance facts');
    }
    this.#instanceId = instance.instanceId;
    return instance;
  }

  /** Reports each notice that says something new, until the signal aborts. */
  async watch({ isNeeded, hinted, onNotice }: NoticeWatch, signal: AbortSignal): Promise<void> {
    let last: SpotInterruption | undefined;
    for (; !signal.aborted; await this.#pause(hinted, signal)) {
      const notice = isNeeded() ? await this.#readNotice(signal) : undefined;
      if (notice === undefined || (last !== undefined && isAlike(notice, last))) continue;
      last = notice;
      onNotice(notice);
    }
  }

  /**
   * Waits until the next poll. A hint ends the wait early, but a stream of hints must not make us flood the metadata
   * service.
   */
  async #pause(hinted: () => AbortSignal, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    const pauseMs = pollMs * (0.9 + 0.2 * random());
    await clock.sleep(minPauseMs, signal);
    await clock.sleep(pauseMs - minPauseMs, AbortSignal.any([signal, hinted()])).catch(() => signal.throwIfAborted());
  }

  async #readNotice(signal: AbortSignal): Promise<SpotInterruption | undefined> {
    const { log } = this.#options;
    try {
      const answer = await this.#client.get(spotNoticePath, signal);
      const parsed = answer.kind === 'found' ? parseSpotNotice(answer.body, this.#instanceId ?? 'instance') : nothing;
      if ('garbage' in parsed) throw new Error(`Cannot read the interruption notice: ${parsed.garbage}`);
      if (this.#isFailing) log.info({}, 'Instance metadata answers again');
      this.#isFailing = false;
      this.#say(parsed.remarks);
      const [notice] = parsed.notices;
      return notice && { ...notice, deadlineMs: this.#deadlineOf(notice) };
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
    return undefined;
  }

  #deadlineOf({ action, deadlineMs: announcedMs }: Notice): number {
    this.#firstSeenMs ??= this.#time.now();
    const firstSeenMs = this.#firstSeenMs;
    // Hibernation begins at once with its notice.
    const deadlineMs = action === 'hibernate' ? firstSeenMs : spotDeadline(announcedMs, firstSeenMs, spotNoticeMs);
    this.#deadlineMs = Math.min(this.#deadlineMs, deadlineMs);
    return this.#time.toWall(this.#deadlineMs);
  }

  #say(remarks: readonly string[]): void {
    const { log } = this.#options;
    for (const remark of remarks) {
      if (this.#remarks.isNew(remark)) log.warn({ remark }, 'Interruption notice partly unreadable');
    }
  }

  /** Log once per outage: off EC2 the service never answers. */
  #fail(error: unknown): void {
    if (!this.#isFailing) this.#options.log.warn({ err: errorText(error) }, 'Instance metadata unavailable');
    this.#isFailing = true;
  }
}

const nothing = { notices: [], remarks: [] };

function isAlike(a: SpotInterruption, b: SpotInterruption): boolean {
  return a.id === b.id && a.action === b.action && Math.abs(a.deadlineMs - b.deadlineMs) < minMoveMs;
}
