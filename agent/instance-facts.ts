import type { Clock } from '../shared/clock.ts';
import { errorText, type Log } from '../shared/log.ts';
import {
  type Instance,
  type InstanceFact,
  instanceFacts,
  readInstance,
  unknownInstance,
} from '../shared/metadata/instance.ts';
import type { MetadataClient } from '../shared/metadata/metadata-client.ts';
import { NewCauses } from '../shared/new-causes.ts';
import { type Backoff, RetryPause } from '../shared/retry.ts';
import type { Ec2Place } from './interruption/ec2/ec2-place.ts';

export interface InstanceFactsParts {
  readonly metadata: MetadataClient;
  /** The instance according to the node object, if known. */
  readonly placeOfNode: () => Ec2Place | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
}

const whileUnanswered: Backoff = { firstMs: 500, maxMs: 10_000 };
/** Backoff for malformed responses: a mock that returns garbage for a path does so forever. */
const whileOnlyNonsense: Backoff = { firstMs: 500, maxMs: 60_000 };
/** Maximum wait for the instance ID before a notice is handled without it. */
const maxIdentityMs = 500;

/** Facts about the EC2 instance: at first from the node object, completely once the metadata service has responded. */
export class InstanceFacts {
  readonly #parts: InstanceFactsParts;
  #learned: Partial<Instance> = {};
  #asked: Promise<string | undefined> | undefined;

  constructor(parts: InstanceFactsParts) {
    this.#parts = parts;
  }

  get known(): Instance {
    const place = this.#parts.placeOfNode();
    const { instanceId = place?.instanceId, region = place?.region } = this.#learned;
    return { ...unknownInstance, ...this.#learned, instanceId, region };
  }

  /**
   * The instance's part of a notice's ID. `fallback` names the instance while the metadata service cannot. Asks the
   * service only once, because a pending notice must not wait for its ID.
   */
  async identity(fallback: () => string, signal: AbortSignal): Promise<string> {
    const { clock } = this.#parts;
    if (this.known.instanceId !== undefined) return this.known.instanceId;
    this.#asked ??= this.#askForId(signal);
    const inTime = new AbortController();
    const limit = clock.sleep(maxIdentityMs, AbortSignal.any([signal, inTime.signal])).catch(() => {});
    const asked = await Promise.race([this.#asked, limit]);
    inTime.abort();
    return this.known.instanceId ?? asked ?? fallback();
  }

  async #askForId(signal: AbortSignal): Promise<string | undefined> {
    const { metadata, log } = this.#parts;
    // The region too, because the first event of an agent that starts during an interruption names both.
    const { facts, problems } = await readInstance(metadata, ['instanceId', 'region'], signal).catch(() => nothing);
    this.#learned = { ...this.#learned, ...facts };
    if (facts.instanceId === undefined && !signal.aborted)
      log.warn({ err: problems.map(errorText).join() }, 'Instance ID unknown: notice IDs use the node name');
    return facts.instanceId;
  }

  /** Retries until every fact is known or the signal aborts. Nothing waits for it. */
  async learn(signal: AbortSignal): Promise<void> {
    const { metadata, clock, log, random } = this.#parts;
    let missing = instanceFacts;
    const causes = new NewCauses();
    const retries = new RetryPause({ backoff: whileUnanswered, clock, random });
    while (!signal.aborted) {
      const reading = await readInstance(metadata, missing, signal).catch(() => undefined);
      if (reading === undefined) return;
      missing = reading.missing;
      const isNews = Object.keys(reading.facts).length > 0;
      this.#learned = { ...this.#learned, ...reading.facts };
      if (isNews) log.info({ instance: this.known, missing }, 'Instance facts updated');
      if (missing.length === 0) return;
      const problems = reading.problems.map(errorText).sort().join('; ');
      if (causes.isNew(problems)) log.warn({ err: problems, missing }, 'Cannot read instance facts');
      const isAnswered = reading.problems.every(({ failure }) => failure === 'garbage');
      retries.failed();
      await retries.wait(signal, isAnswered ? { backoff: whileOnlyNonsense } : {});
    }
  }
}

const nothing = { facts: {} as Partial<Record<InstanceFact, string | undefined>>, problems: [] };
