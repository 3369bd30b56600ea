import type { Clock } from '../shared/clock.ts';
import type { Notice } from '../shared/interruption/interruption.ts';
import { parseSpotNotice, spotNoticePath } from '../shared/interruption/parse-spot-notice.ts';
import { errorText, type Log } from '../shared/log.ts';
import { type Instance, readInstance, unknownInstance } from '../shared/metadata/instance.ts';
import { MetadataClient } from '../shared/metadata/metadata-client.ts';

/*
 * The wrapper's own look at the metadata service, for where no agent tells it. Loaded by a dynamic import after the game has started: a
 * wrapper that an agent has welcomed never needs it, nor node:http.
 */

/** AWS advises five seconds; an agent would be faster, and asks once for the whole node. */
const pollMs = 5000;

export interface MetadataWatchOptions {
  readonly endpoint: URL;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

export class MetadataWatch {
  readonly #options: MetadataWatchOptions;
  readonly #client: MetadataClient;
  #instanceId: string | undefined;
  #isFailing = false;

  constructor(options: MetadataWatchOptions) {
    this.#options = options;
    this.#client = new MetadataClient({ endpoint: options.endpoint, clock: options.clock });
  }

  /** What the service knows of the instance; nothing where it does not answer, after one more try. */
  async readInstance(signal: AbortSignal): Promise<Instance> {
    for (let attempt = 1; attempt <= 2; attempt++) {
      try {
        const instance = await readInstance(this.#client, signal);
        this.#instanceId = instance.instanceId;
        return instance;
      } catch (error) {
        this.#fail(error);
      }
    }
    return unknownInstance;
  }

  /** Reports each notice that says something new, until the signal aborts. Does not ask while `isNeeded` says no. */
  async watch(isNeeded: () => boolean, onNotice: (notice: Notice) => void, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    for (let last = ''; !signal.aborted; await clock.sleep(pollMs * (0.9 + 0.2 * random()), signal)) {
      const notice = isNeeded() ? await this.#readNotice(signal) : undefined;
      const said = JSON.stringify(notice);
      if (notice !== undefined && said !== last) onNotice(notice);
      if (notice !== undefined) last = said;
    }
  }

  async #readNotice(signal: AbortSignal): Promise<Notice | undefined> {
    const { log } = this.#options;
    try {
      const answer = await this.#client.get(spotNoticePath, signal);
      const parsed =
        answer.kind === 'absent' ? undefined : parseSpotNotice(answer.body, this.#instanceId ?? 'instance');
      if (parsed !== undefined && 'garbage' in parsed)
        throw new Error(`Cannot read the interruption notice: ${parsed.garbage}`);
      if (this.#isFailing) log.info({}, 'Instance metadata answers again');
      this.#isFailing = false;
      return parsed?.notice;
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
    return undefined;
  }

  /** Said once an outage: off EC2 nobody ever answers. */
  #fail(error: unknown): void {
    if (!this.#isFailing) this.#options.log.warn({ err: errorText(error) }, 'Instance metadata unavailable');
    this.#isFailing = true;
  }
}
