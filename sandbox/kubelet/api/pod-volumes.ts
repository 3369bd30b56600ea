import { retry } from '../../../shared/retry.ts';
import { apiRetry } from './api-retry.ts';
import type { PreparedVolumes } from './prepare-volumes.ts';

/** Keeps one pod's volumes in place and its tokens fresh: retries until it succeeds or is stopped. */
export class PodVolumes {
  readonly #prepare: (signal: AbortSignal) => Promise<PreparedVolumes>;
  readonly #told: { prepared(): void; failed(message: string): void };
  readonly #stopped: AbortController = new AbortController();
  readonly #signal: AbortSignal;
  #volumes: PreparedVolumes | undefined;
  #work: Promise<void> | undefined;

  constructor(
    prepare: (signal: AbortSignal) => Promise<PreparedVolumes>,
    told: { prepared(): void; failed(message: string): void },
    signal: AbortSignal,
  ) {
    this.#prepare = prepare;
    this.#told = told;
    this.#signal = AbortSignal.any([signal, this.#stopped.signal]);
  }

  /** By the volume's name; undefined until all volumes are ready. */
  get directories(): ReadonlyMap<string, string> | undefined {
    return this.#volumes?.directories;
  }

  /** Epoch milliseconds; undefined if nothing has to be renewed or a renewal is under way. */
  get refreshAtMs(): number | undefined {
    return this.#work === undefined ? this.#volumes?.refreshAtMs : undefined;
  }

  /** Begins to prepare the volumes if that is due and not under way. */
  ensure(nowMs: number): void {
    const isDue = this.#volumes === undefined || nowMs >= (this.#volumes.refreshAtMs ?? Infinity);
    if (!isDue || this.#work !== undefined || this.#signal.aborted) return;
    this.#work = this.#run().finally(() => {
      this.#work = undefined;
      if (!this.#signal.aborted) this.#told.prepared();
    });
  }

  /** Resolves when nothing is written any more. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#work;
  }

  async #run(): Promise<void> {
    let lastMessage: string | undefined;
    const onFailure = (error: unknown): void => {
      const message = error instanceof Error ? error.message : String(error);
      if (message !== lastMessage) this.#told.failed(message);
      lastMessage = message;
    };
    try {
      this.#volumes = await retry(() => this.#prepare(this.#signal), { ...apiRetry, onFailure }, this.#signal);
    } catch {
      // Stopped.
    }
  }
}
