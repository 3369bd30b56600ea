import { readFileSync } from 'node:fs';
import type { Clock } from '../../shared/clock.ts';
import {
  type HelloMessage,
  linkProtocolVersion,
  type SessionMessage,
  type StateMessage,
  type WelcomeMessage,
} from '../../shared/link/link-message.ts';
import type { LifeEvents } from '../life/life-events.ts';
import type { LeasedPort } from '../ports/port-lease.ts';
import { LinkInventory } from '../publishing/link-inventory.ts';
import type { WrapperConfig } from '../settings/config.ts';
import type { WrapperContext } from '../wrapper-context.ts';
import { AgentLink, type LinkListener } from './agent-link.ts';
import { endCauseOf } from './end-cause.ts';
import { isGuarded } from './is-guarded.ts';

export interface AgentSideOptions {
  readonly config: WrapperConfig;
  readonly lifeEvents: LifeEvents;
  readonly context: WrapperContext;
}

export interface AgentListener {
  /** The link came or went. */
  onLink(): void;
  /** What AWS warns of has changed. */
  onRisk(): void;
  /** Somebody says that the end is near, and it is to be looked into. */
  onHint(): void;
  /** What the pod says of its session has changed. */
  onSession(session: SessionMessage): void;
}

/** The agent as the wrapper sees it: it tells of interruptions and may publish our events. */
export class AgentSide {
  readonly #options: AgentSideOptions;
  readonly #link: AgentLink | undefined;
  readonly #inventory: LinkInventory | undefined;
  readonly #risks = new Map<string, string>();
  readonly #clock: Clock;
  #hasPublished = false;
  /** Whether the agent publishes for us is known, on this connection. */
  #verdict = Promise.withResolvers<void>();
  #decided: Promise<void> | undefined;
  #listener: AgentListener | undefined;
  #session: SessionMessage | undefined;

  constructor(options: AgentSideOptions) {
    const { config, context } = options;
    this.#options = options;
    this.#clock = context.clock;
    const { link: address } = config;
    if (address === undefined) return;
    const { clock, log, random } = context;
    const link: AgentLink = new AgentLink({
      address,
      isTrusted: () => config.trustsLink || isGuarded(address),
      listener: this.#linkListener(options),
      clock,
      log,
      random,
    });
    this.#link = link;
    this.#inventory = new LinkInventory(link);
  }

  /** Of an agent that is believed. */
  get welcome(): WelcomeMessage | undefined {
    return this.#link?.welcome;
  }

  /** Where the agent publishes for us. */
  get inventory(): LinkInventory | undefined {
    return this.#link?.welcome?.publishes === true ? this.#inventory : undefined;
  }

  /** An agent has published for us, whether it is there now or not. */
  get hasPublished(): boolean {
    return this.#hasPublished;
  }

  /** Looks for an agent that has gone more often: there is little time left to speak to it. */
  comeBackSoon(): void {
    this.#link?.comeBackSoon();
  }

  /**
   * Resolves when the agent has said that it publishes for us, or is unlikely to. It asks the API server about our
   * token, which takes some milliseconds more than its first welcome: loading the AWS SDK meanwhile would cost memory
   * for the rest of our life.
   */
  decided(): Promise<void> {
    if (this.#link?.welcome === undefined) return Promise.resolve();
    this.#decided ??= Promise.race([this.#verdict.promise, this.#clock.sleep(maxVerdictMs)]);
    return this.#decided;
  }

  /** What AWS warns of without naming an instant. */
  get risk(): string | undefined {
    return [...this.#risks.values()].at(-1);
  }

  /**
   * Connects, and connects again, until the signal aborts. Resolves once the first attempt is decided, which takes no
   * time; the agent hears nothing before {@link join}.
   */
  async connect(signal: AbortSignal): Promise<void> {
    void this.#link?.run(signal);
    await this.#link?.reached();
  }

  /** Says who we are; waits for the agent's answer, but not longer than the limit. */
  join(ports: readonly LeasedPort[], limitMs: number): Promise<void> {
    const { config, context } = this.#options;
    this.#link?.introduce((isTrusted) => helloOf(config, ports, context, isTrusted));
    return this.#link?.settle(limitMs) ?? Promise.resolve();
  }

  /** Who hears of what comes from now on. */
  tell(listener: AgentListener): void {
    this.#listener = listener;
    if (this.#session !== undefined) listener.onSession(this.#session);
  }

  tellState(message: StateMessage): void {
    this.#link?.send(message);
  }

  #linkListener({ config, lifeEvents }: AgentSideOptions): LinkListener {
    return {
      onWelcome: ({ publishes }, isFirst) => {
        this.#hasPublished ||= publishes;
        if (publishes || !isFirst) this.#verdict.resolve();
        this.#listener?.onLink();
      },
      onBroken: () => {
        this.#inventory?.reset('the link broke');
        this.#verdict = Promise.withResolvers();
        this.#decided = undefined;
        this.#listener?.onLink();
      },
      onSession: (session) => {
        this.#session = session;
        this.#listener?.onSession(session);
      },
      onRefusal: (reason) => this.#inventory?.reset(reason),
      onSettled: (outcome) => this.#inventory?.settle(outcome),
      onInterruption: (message) => {
        const cause = endCauseOf(message, config.safetyMarginMs);
        if (cause !== undefined) lifeEvents.push({ kind: 'end-announced', cause });
        else this.#risks.set(message.id, message.kind);
        if (cause === undefined) this.#listener?.onRisk();
      },
      onHint: () => this.#listener?.onHint(),
      onCancelled: (id) => {
        lifeEvents.push({ kind: 'end-cancelled', id });
        if (this.#risks.delete(id)) this.#listener?.onRisk();
      },
    };
  }
}

/** Less than the last events have at the end: whatever is undecided then still goes out by ourselves. */
const maxVerdictMs = 500;

function helloOf(
  config: WrapperConfig,
  ports: readonly LeasedPort[],
  { gameServerId, pid }: WrapperContext,
  isTrusted: boolean,
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
    ...(isTrusted ? tokenOf(config) : {}),
    ports: Object.fromEntries(ports.map(({ name, port, protocol }) => [name, { port, protocol }])),
  };
}

/**
 * The kubelet renews the token in its file; outside Kubernetes there is none, and the agent decides what that is worth.
 */
function tokenOf({ linkTokenFile }: WrapperConfig): { readonly token?: string } {
  try {
    return { token: readFileSync(linkTokenFile, 'utf8').trim() };
  } catch {
    return {};
  }
}
