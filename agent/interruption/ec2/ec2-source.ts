import type { Clock } from '../../../shared/clock.ts';
import { errorText, type Log } from '../../../shared/log.ts';
import { NewCauses } from '../../../shared/new-causes.ts';
import { type Backoff, RetryPause } from '../../../shared/retry.ts';
import type { NoticeSource, Sighting } from '../notice-source.ts';
import { eventNotices, spotNotices } from './ec2-notices.ts';
import type { Ec2Place } from './ec2-place.ts';

export interface Ec2SourceOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Time for which the metadata service has not responded, milliseconds. */
  readonly metadataSilentMs: () => number;
  /** The instance, as far as it is known without the metadata service. */
  readonly place: () => Ec2Place | undefined;
  /** The instance's part of notice IDs, as in the metadata service's notices. */
  readonly identity: (signal: AbortSignal) => Promise<string>;
  readonly bootedAtMs: () => number;
  readonly random?: () => number;
}

/** A metadata service that is only restarting is back by then. */
const patienceMs = 30_000;
/** EC2 limits calls per account, which thousands of nodes share. */
const everyMs = 15_000;
const backoff: Backoff = { firstMs: 15_000, maxMs: 300_000 };

const nothingFound: Sighting = { notices: [], remarks: [] };

/**
 * EC2's API as the second source of notices, used only while the metadata service has been silent for long. It can
 * announce an interruption, but never prove its withdrawal.
 */
export class Ec2Source {
  readonly #options: Ec2SourceOptions;
  #found: Sighting = nothingFound;
  #isAsking = false;
  readonly #causes = new NewCauses();

  constructor(options: Ec2SourceOptions) {
    this.#options = options;
  }

  /** Returns the last result at once, because EC2 responds too slowly to wait for. */
  get source(): NoticeSource {
    return { name: 'ec2', kinds: [], everyLooks: 1, look: async () => this.#found };
  }

  /** Polls EC2 while needed, until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, place, metadataSilentMs, random = Math.random } = this.#options;
    const retries = new RetryPause({ backoff, clock, random });
    while (!signal.aborted) {
      const waitMs = patienceMs - metadataSilentMs();
      if (waitMs > 0) {
        // The metadata service is back, and its notices replace EC2's.
        this.#found = nothingFound;
        this.#isAsking = false;
        this.#causes.clear();
        retries.progressed();
        await clock.sleep(waitMs, signal).catch(() => {});
        continue;
      }
      if (!this.#isAsking) log.warn({ ...place() }, 'Metadata service silent: asking EC2');
      this.#isAsking = true;
      if (await this.#ask(signal)) {
        retries.progressed();
        await clock.sleep(everyMs * (0.9 + 0.2 * random()), signal).catch(() => {});
      } else {
        retries.failed();
        await retries.wait(signal);
      }
    }
  }

  async #ask(signal: AbortSignal): Promise<boolean> {
    const { log, place, identity, bootedAtMs } = this.#options;
    const at = place();
    try {
      if (at === undefined) throw new Error('Cannot ask EC2: instance ID unknown');
      const { askEc2 } = await import('./ec2-client.ts');
      const { requests, events, problems } = await askEc2(at.region, at.instanceId, signal);
      const spot = spotNotices(requests, await identity(signal));
      const scheduled = eventNotices(events, bootedAtMs());
      const notices = [...spot.notices, ...scheduled.notices];
      this.#causes.clear();
      this.#found = { notices, remarks: [...problems, ...spot.remarks, ...scheduled.remarks] };
      return true;
    } catch (error) {
      // Logs each cause once: an agent without rights on EC2 works without it.
      const err = errorText(error);
      if (!signal.aborted && this.#causes.isNew(err)) log.warn({ err }, 'Cannot ask EC2');
      return false;
    }
  }
}
