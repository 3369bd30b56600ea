import type { LifeEvents } from '../life/life-events.ts';
import type { LifeEvent } from '../life/lifecycle.ts';
import type { LeasedPort } from '../ports/port-lease.ts';
import type { WrapperConfig } from '../settings/config.ts';
import type { WrapperContext } from '../wrapper-context.ts';
import type { GameServerIdentity } from './model/game-server-document.ts';
import type { HealthRules } from './model/sdk-model.ts';
import { isNews, lifeEventsBetween, type SdkView } from './model/sdk-view.ts';
import type { SdkServer } from './sdk-server.ts';

export interface GameSdkOptions {
  readonly config: WrapperConfig;
  readonly ports: readonly LeasedPort[];
  readonly lifeEvents: LifeEvents;
  readonly context: WrapperContext;
  readonly address: () => string | undefined;
  /** Called when allocation may have changed. `isReleased`: the game was allocated and is ready again. */
  readonly onChange: (isReleased: boolean) => void;
  readonly signal: AbortSignal;
}

/** The SDK server as the wrapper's other parts see it. */
export interface GameSdk extends SdkServer {
  /** Combines the SDK's view of the game's health with a check's result, so that neither hides the other. */
  withHealth(lifeEvent: LifeEvent): LifeEvent;
}

/** Between heartbeats, players and labels reach the inventory at most this often. */
const newsGapMs = 1000;

/** Starts the SDK server if the settings ask for one. Throws an Error if it cannot listen. */
export async function openGameSdk(options: GameSdkOptions): Promise<GameSdk | undefined> {
  const { config, context, address } = options;
  // Offer gRPC too, because most SDKs speak it: a game whose Ready() cannot reach a server would never become ready.
  const speaks = config.sdk ?? (config.ready.kind === 'sdk' ? 'rest+grpc' : undefined);
  if (speaks === undefined) return undefined;
  const { clock, log } = context;
  const bridge = new Bridge(options);
  // Load late: node:http costs memory that a wrapper without an SDK need not spend.
  const { startSdkServer } = await import('./sdk-server.ts');
  const server = await startSdkServer({
    speaks,
    isOpen: config.sdkOpen,
    identity: identityOf(options),
    seed: { counters: config.sdkCounters, lists: config.sdkLists },
    address,
    clock,
    log,
    onChange: (view, before) => bridge.tell(view, before),
  });
  log.info(server.environment, 'SDK server started');
  return Object.assign(server, { withHealth: (lifeEvent: LifeEvent) => bridge.withHealth(lifeEvent) });
}

/** Turns the game's SDK calls into life events. */
class Bridge {
  readonly #options: GameSdkOptions;
  #sdkProblem: string | undefined;
  #checkProblem: string | undefined;
  #isNewsWaiting = false;

  constructor(options: GameSdkOptions) {
    this.#options = options;
  }

  tell(view: SdkView, before: SdkView): void {
    const { config, lifeEvents, context } = this.#options;
    const { gracePeriodMs, stopAtMs, ready } = config;
    const rules = { decidesReady: ready.kind === 'sdk', gracePeriodMs, stopLeadMs: stopAtMs };
    for (const lifeEvent of lifeEventsBetween(before, view, rules, context.clock.now())) lifeEvents.push(lifeEvent);
    if (view.problem !== before.problem) {
      this.#sdkProblem = view.problem;
      lifeEvents.push({ kind: 'health-checked', problem: this.#problem() });
    }
    if (view.isReady !== before.isReady || view.isAllocated !== before.isAllocated || view.players !== before.players)
      this.#options.onChange(before.isAllocated && !view.isAllocated && view.isReady);
    if (isNews(before, view) && !this.#isNewsWaiting) void this.#tellNews();
  }

  withHealth(lifeEvent: LifeEvent): LifeEvent {
    if (lifeEvent.kind !== 'health-checked') return lifeEvent;
    this.#checkProblem = lifeEvent.problem;
    return { kind: 'health-checked', problem: this.#problem() };
  }

  #problem(): string | undefined {
    const problems = [this.#checkProblem, this.#sdkProblem].filter((problem) => problem !== undefined);
    return problems.length === 0 ? undefined : problems.join('; ');
  }

  /** A game may set a label a thousand times a second; the inventory gets the last value only. */
  async #tellNews(): Promise<void> {
    const { lifeEvents, context, signal } = this.#options;
    this.#isNewsWaiting = true;
    const isOver = await context.clock.sleep(newsGapMs, signal).then(
      () => false,
      () => true,
    );
    this.#isNewsWaiting = false;
    if (isOver) return;
    lifeEvents.push({ kind: 'heartbeat-due' });
    this.#options.onChange(false);
  }
}

function identityOf({ config, ports, context }: GameSdkOptions): GameServerIdentity {
  const { gameServerId, clock } = context;
  return {
    name: config.podName ?? gameServerId,
    namespace: config.podNamespace ?? 'default',
    uid: config.podUid ?? gameServerId,
    createdAtMs: clock.now(),
    labels: Object.fromEntries(config.labels),
    ports: ports.map(({ name, port }) => ({ name, port })),
    health: healthOf(config),
  };
}

function healthOf({ sdkHealthPeriodMs, sdkHealthThreshold, sdkHealthDelayMs }: WrapperConfig): HealthRules {
  return { periodMs: sdkHealthPeriodMs, threshold: sdkHealthThreshold, delayMs: sdkHealthDelayMs };
}
