import type { Clock } from '../shared/clock.ts';
import type { MetadataClient } from '../shared/metadata/metadata-client.ts';
import { type Backoff, retry } from '../shared/retry.ts';

const backoff: Backoff = { firstMs: 1000, maxMs: 60_000 };

/** The AWS account of the instance, from its identity document. */
export class AccountId {
  readonly #parts: { readonly metadata: MetadataClient; readonly clock: Clock };
  #known: string | undefined;

  constructor(parts: { readonly metadata: MetadataClient; readonly clock: Clock }) {
    this.#parts = parts;
  }

  get known(): string | undefined {
    return this.#known;
  }

  /** Retries until it succeeds or the signal aborts. Never rejects. */
  async learn(signal: AbortSignal): Promise<void> {
    const { metadata, clock } = this.#parts;
    const read = async () => {
      const answer = await metadata.get('/latest/dynamic/instance-identity/document', signal);
      if (answer.kind === 'absent') return undefined;
      const { accountId } = Object(JSON.parse(answer.body)) as { accountId?: unknown };
      return typeof accountId === 'string' && /^\d{12}$/.test(accountId) ? accountId : undefined;
    };
    this.#known = await retry(read, { backoff, clock }, signal).catch(() => undefined);
  }
}
