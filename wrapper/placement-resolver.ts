import { type Instance, unknownInstance } from '../shared/metadata/instance.ts';
import type { AgentSide } from './link/agent-side.ts';
import type { MetadataWatch, SpotInterruption } from './metadata-watch.ts';
import { advertisedAddress, type Placement } from './publishing/event-writer.ts';
import type { WrapperConfig } from './settings/config.ts';
import type { WrapperContext } from './wrapper-context.ts';

/**
 * Learns where this game server is, and whether it has to go, from the agent where there is one and the metadata
 * service elsewhere.
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

  /** What is known without asking anybody. */
  get known(): Placement | undefined {
    const instance =
      this.#agent.welcome?.instance ?? (this.#config.metadataEndpoint === undefined ? unknownInstance : undefined);
    return instance === undefined ? undefined : this.#place(instance);
  }

  /** Asks the metadata service where that is needed. Takes a second or two where it does not answer. */
  async locate(signal: AbortSignal): Promise<Placement> {
    return this.known ?? this.#place((await (await this.#metadata())?.readInstance(signal)) ?? unknownInstance);
  }

  /** Somebody who need not be the agent spoke of an end: the metadata service is asked before its turn. */
  lookSoon(): void {
    this.#hint.abort();
  }

  /** Reports interruption notices as long as no agent does. */
  async watchNotices(onNotice: (interruption: SpotInterruption) => void, signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    const isNeeded = () => this.#agent.welcome === undefined;
    // node:http is not loaded as long as an agent is there.
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
