import {
  type HelloMessage,
  linkProtocolVersion,
  type StateMessage,
  type WelcomeMessage,
} from '../../shared/link/link-message.ts';
import type { WrapperConfig } from '../config.ts';
import type { Happenings } from '../happenings.ts';
import { LinkInventory } from '../inventory/link-inventory.ts';
import type { LeasedPort } from '../ports/port-lease.ts';
import type { Surroundings } from '../wrapper.ts';
import { AgentLink } from './agent-link.ts';
import { endCauseOf } from './end-cause.ts';

export interface AgentSideOptions {
  readonly config: WrapperConfig;
  readonly ports: readonly LeasedPort[];
  readonly happenings: Happenings;
  readonly surroundings: Surroundings;
  /** The link came or went. */
  readonly onLink: () => void;
  /** What AWS warns of has changed. */
  readonly onRisk: () => void;
}

/** The agent as the wrapper sees it: it tells of interruptions and may publish our events. */
export class AgentSide {
  readonly #link: AgentLink | undefined;
  readonly #inventory: LinkInventory | undefined;
  readonly #risks = new Map<string, string>();

  constructor(options: AgentSideOptions) {
    const { config, ports, surroundings } = options;
    if (config.link === undefined) return;
    const { clock, log, random } = surroundings;
    const link: AgentLink = new AgentLink({
      address: config.link,
      hello: helloOf(config, ports, surroundings),
      listener: this.#listener(options),
      clock,
      log,
      random,
    });
    this.#link = link;
    this.#inventory = new LinkInventory(link);
  }

  get welcome(): WelcomeMessage | undefined {
    return this.#link?.welcome;
  }

  /** Where the agent publishes for us. */
  get inventory(): LinkInventory | undefined {
    return this.#link?.welcome?.publishes === true ? this.#inventory : undefined;
  }

  /** What AWS warns of without naming an instant. */
  get risk(): string | undefined {
    return [...this.#risks.values()].at(-1);
  }

  /** Connects; waits for the agent's answer, but not longer than the limit. */
  async join(limitMs: number, signal: AbortSignal): Promise<void> {
    void this.#link?.run(signal);
    await this.#link?.settle(limitMs);
  }

  tellState(message: StateMessage): void {
    this.#link?.send(message);
  }

  #listener({
    config,
    happenings,
    onLink,
    onRisk,
  }: AgentSideOptions): ConstructorParameters<typeof AgentLink>[0]['listener'] {
    return {
      onWelcome: onLink,
      onBroken: () => {
        this.#inventory?.reset('the link broke');
        onLink();
      },
      onRefusal: (reason) => this.#inventory?.reset(reason),
      onSettled: (outcome) => this.#inventory?.settle(outcome),
      onInterruption: (message) => {
        const cause = endCauseOf(message, config.safetyMarginMs);
        if (cause !== undefined) happenings.push({ kind: 'end-announced', cause });
        else this.#risks.set(message.id, message.kind);
        if (cause === undefined) onRisk();
      },
      onCancelled: (id) => {
        happenings.push({ kind: 'end-cancelled', id });
        if (this.#risks.delete(id)) onRisk();
      },
    };
  }
}

function helloOf(
  config: WrapperConfig,
  ports: readonly LeasedPort[],
  { gameServerId, pid }: Surroundings,
): HelloMessage {
  const { podName, podNamespace, podUid } = config;
  return {
    type: 'hello',
    version: linkProtocolVersion,
    game_server_id: gameServerId,
    ...(podNamespace === undefined ? {} : { namespace: podNamespace }),
    ...(podName === undefined ? {} : { pod: podName }),
    ...(podUid === undefined ? {} : { pod_uid: podUid }),
    pid,
    ports: Object.fromEntries(ports.map(({ name, port, protocol }) => [name, { port, protocol }])),
  };
}
