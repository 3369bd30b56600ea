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
  /** The link was established or lost. */
  onLink(): void;
  /** The AWS warning has changed. */
  onRisk(): void;
  /** An unverified peer reports that the end is near; check it. */
  onHint(): void;
  /** The pod's session has changed. */
  onSession(session: SessionMessage): void;
}

/** The agent as the wrapper sees it: it reports interruptions and may publish our events. */
export class AgentSide {
  readonly #options: AgentSideOptions;
  readonly #link: AgentLink | undefined;
  readonly #inventory: LinkInventory | undefined;
  readonly #risks = new Map<string, string>();
  readonly #clock: Clock;
  #hasPublished = false;
  /** Resolves when it is known on this connection whether the agent publishes for us. */
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

  /** Only from an agent that is trusted. */
  get welcome(): WelcomeMessage | undefined {
    return this.#link?.welcome;
  }

  /** Set if the agent publishes for us. */
  get inventory(): LinkInventory | undefined {
    return this.#link?.welcome?.publishes === true ? this.#inventory : undefined;
  }

  /** Whether an agent has ever published for us, even if it is gone now. */
  get hasPublished(): boolean {
    return this.#hasPublished;
  }

  /** Reconnects more often to an agent that has gone: little time is left to reach it. */
  comeBackSoon(): void {
    this.#link?.comeBackSoon();
  }

  /**
   * Resolves when the agent has said that it publishes for us, or is unlikely to. The agent asks the API server about
   * our token, some milliseconds after its first welcome. Loading the AWS SDK in that time would cost memory for the
   * rest of our life.
   */
  decided(): Promise<void> {
    if (this.#link?.welcome === undefined) return Promise.resolve();
    this.#decided ??= Promise.race([this.#verdict.promise, this.#clock.sleep(maxVerdictMs)]);
    return this.#decided;
  }

  /** An AWS warning that names no instant. */
  get risk(): string | undefined {
    return [...this.#risks.values()].at(-1);
  }

  /**
   * Connects, and reconnects, until the signal aborts. Resolves at once after the first attempt has succeeded or
   * failed. Nothing is sent to the agent before {@link join}.
   */
  async connect(signal: AbortSignal): Promise<void> {
    void this.#link?.run(signal);
    await this.#link?.reached();
  }

  /** Sends our hello and waits for the agent's answer, at most until the limit. */
  join(ports: readonly LeasedPort[], limitMs: number): Promise<void> {
    const { config, context } = this.#options;
    this.#link?.introduce((isTrusted) => helloOf(config, ports, context, isTrusted));
    return this.#link?.settle(limitMs) ?? Promise.resolve();
  }

  /** Sets the listener for everything that comes from now on. */
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

/**
 * Shorter than the time that the last events have at the end: if undecided by then, the wrapper publishes them itself.
 */
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
 * The kubelet renews the token in its file. Outside Kubernetes there is none, and the agent decides how far to trust
 * that.
 */
function tokenOf({ linkTokenFile }: WrapperConfig): { readonly token?: string } {
  try {
    return { token: readFileSync(linkTokenFile, 'utf8').trim() };
  } catch {
    return {};
  }
}
