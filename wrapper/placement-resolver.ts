import { type Instance, unknownInstance } from '../shared/metadata/instance.ts';
import type { AgentSide } from './link/agent-side.ts';
import type { MetadataWatch, SpotInterruption } from './metadata-watch.ts';
import { advertisedAddress, type Placement } from './publishing/event-writer.ts';
import type { WrapperConfig } from './settings/config.ts';
import type { WrapperContext } from './wrapper-context.ts';

/**
 * Finds out where this game server runs and whether it has to end: from the agent, or from the metadata service without
 * one.
 */
export class PlacementResolver {
  readonly #config: WrapperConfig;
  readonly #agent: AgentSide;
  readonly #context: WrapperContext;
  #watch: Promise<MetadataWatch | undefined> | undefined;
  #hint = new AbortController();

  constructor(config: WrapperConfig, agent: AgentSide, context: WrapperContext) {
    this.#config = config;
    this.#agent = agent;
    this.#context = context;
  }

  /** The placement as known without a request. */
  get known(): Placement | undefined {
    const instance =
      this.#agent.welcome?.instance ?? (this.#config.metadataEndpoint === undefined ? unknownInstance : undefined);
    return instance === undefined ? undefined : this.#place(instance);
  }

  /** Asks the metadata service if necessary. Takes a second or two if the service does not answer. */
  async locate(signal: AbortSignal): Promise<Placement> {
    return this.known ?? this.#place((await (await this.#metadata())?.readInstance(signal)) ?? unknownInstance);
  }

  /** A peer that may not be the agent reported an end: poll the metadata service early. */
  lookSoon(): void {
    this.#hint.abort();
  }

  /** Reports interruption notices while no agent does. */
  async watchNotices(onNotice: (interruption: SpotInterruption) => void, signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    const isNeeded = () => this.#agent.welcome === undefined;
    // Do not load node:http while an agent is connected.
    while (!isNeeded()) await clock.sleep(agentLookMs, signal);
    const hinted = () => {
      const hint = this.#hint;
      if (hint.signal.aborted) this.#hint = new AbortController();
      return hint.signal;
    };
    await (await this.#metadata())?.watch({ isNeeded, hinted, onNotice }, signal);
  }

  #metadata(): Promise<MetadataWatch | undefined> {
    this.#watch ??= this.#openMetadata();
    return this.#watch;
  }

  async #openMetadata(): Promise<MetadataWatch | undefined> {
    const { metadataEndpoint: endpoint } = this.#config;
    if (endpoint === undefined) return undefined;
    const { MetadataWatch } = await import('./metadata-watch.ts');
    return new MetadataWatch({ endpoint, ...this.#context });
  }

  #place(instance: Instance): Placement {
    const { advertise, nodeAddress, nodeName } = this.#config;
    return {
      instance,
      node: nodeName ?? this.#agent.welcome?.node ?? undefined,
      publicHostname: advertisedAddress({ advertise, instance, nodeAddress }),
    };
  }
}

const agentLookMs = 1000;
