import { type Backoff, backoffMs } from '../shared/backoff.ts';
import type { Clock } from '../shared/clock.ts';
import { errorText, type Log } from '../shared/log.ts';
import { type Instance, readInstance, unknownInstance } from '../shared/metadata/instance.ts';
import type { MetadataClient } from '../shared/metadata/metadata-client.ts';
import { NewCauses } from '../shared/new-causes.ts';

export interface InstanceFactsParts {
  readonly metadata: MetadataClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
}

const backoff: Backoff = { firstMs: 500, maxMs: 10_000 };

/** What is known of the EC2 instance: nothing at first, everything once the metadata service has answered. */
export class InstanceFacts {
  readonly #parts: InstanceFactsParts;
  #known: Instance = unknownInstance;
  #asked: Promise<string | undefined> | undefined;

  constructor(parts: InstanceFactsParts) {
    this.#parts = parts;
  }

  get known(): Instance {
    return this.#known;
  }

  /**
   * What stands for this instance in the identity of its notices. `fallback` is what else names it, while the metadata service cannot say
   * it: it is asked only once here, because a notice that is there must not wait for its name.
   */
  async identity(fallback: () => string, signal: AbortSignal): Promise<string> {
    this.#asked ??= this.#askForId(signal);
    const asked = this.#known.instanceId ?? (await this.#asked);
    return this.#known.instanceId ?? asked ?? fallback();
  }

  async #askForId(signal: AbortSignal): Promise<string | undefined> {
    const { metadata, log } = this.#parts;
    try {
      const answer = await metadata.get('/latest/meta-data/instance-id', signal);
      if (answer.kind === 'found' && /^[\w-]{1,64}$/.test(answer.body.trim())) return answer.body.trim();
      throw new Error(answer.kind === 'found' ? 'it is no instance id' : 'the metadata service knows none');
    } catch (error) {
      if (!signal.aborted)
        log.warn({ err: errorText(error) }, 'Cannot read instance id: notices are named after the node');
      return undefined;
    }
  }

  /** Asks until it is answered or the signal aborts. Nothing waits for it. */
  async learn(signal: AbortSignal): Promise<void> {
    const { metadata, clock, log, random = Math.random } = this.#parts;
    const causes = new NewCauses();
    for (let failures = 0; !signal.aborted; ) {
      try {
        this.#known = await readInstance(metadata, signal);
        log.info({ instance: this.#known }, 'Instance known');
        return;
      } catch (error) {
        if (signal.aborted) return;
        failures++;
        const err = errorText(error);
        if (causes.isNew(err)) log.warn({ err }, 'Cannot read instance facts');
        await clock.sleep(backoffMs(backoff, failures, random), signal).catch(() => {});
      }
    }
  }
}
