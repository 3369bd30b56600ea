import { instant } from '../shared/interruption/interruption.ts';
import type { Inventory } from '../shared/inventory/inventory.ts';
import type { WrapperConfig } from './config.ts';
import { createGameFiles, type GameFiles } from './game/game-files.ts';
import type { Placeholders } from './game/placeholders.ts';
import { StatusFile, unsaidStatus } from './game/status-file.ts';
import { SupervisedGame } from './game/supervised-game.ts';
import type { Happenings } from './happenings.ts';
import type { Placement, Report } from './inventory/event-writer.ts';
import { Reporter } from './inventory/reporter.ts';
import { RoutedInventory } from './inventory/routed-inventory.ts';
import { type Effect, type EndCause, endOf, exitStatusOf, type Life, statusOf, unborn } from './lifecycle.ts';
import { AgentSide } from './link/agent-side.ts';
import type { LeasedPort } from './ports/port-lease.ts';
import { Whereabouts } from './whereabouts.ts';
import type { Surroundings } from './wrapper.ts';

export interface GameServerOptions {
  readonly config: WrapperConfig;
  readonly command: readonly string[];
  readonly ports: readonly LeasedPort[];
  readonly happenings: Happenings;
  readonly surroundings: Surroundings;
}

const statusFilePollMs = 1000;

/** Carries out what the lifecycle decides, and feeds it what the game, the agent and the clock bring. */
export class GameServer {
  readonly #options: GameServerOptions;
  readonly #background = new AbortController();
  readonly #agent: AgentSide;
  readonly #whereabouts: Whereabouts;
  readonly #reporter: Reporter;
  readonly #files: GameFiles | undefined;
  #game: SupervisedGame | undefined;
  #life: Life = unborn;
  #status = unsaidStatus;
  #address: string | undefined;

  constructor(options: GameServerOptions) {
    const { config, ports, surroundings } = options;
    const { clock, log, gameServerId } = surroundings;
    this.#options = options;
    this.#address = config.advertise;
    this.#agent = new AgentSide({ ...options, onChange: () => this.#agentChanged() });
    this.#whereabouts = new Whereabouts(config, this.#agent, surroundings);
    const identity = { gameServerId, type: config.type, ports, pod: config.podName, namespace: config.podNamespace };
    const inventory = new RoutedInventory({ throughAgent: () => this.#throughAgent(), alone: publishAlone(config) });
    this.#reporter = new Reporter({ identity, leaseMs: config.leaseMs, inventory, clock, log });
    this.#files = this.#createFiles();
  }

  joinAgent(limitMs: number): Promise<void> {
    return this.#agent.join(limitMs, this.#background.signal);
  }

  /** Throws a FatalError where the game cannot be started. */
  async perform(effect: Effect, life: Life): Promise<void> {
    this.#life = life;
    const { log } = this.#options.surroundings;
    switch (effect.kind) {
      case 'hold-game':
        return log.warn(describeCause(effect.cause), 'Game held back: an interruption is under way');
      case 'start-game':
        return this.#start();
      case 'publish':
        return this.#publish(effect.event);
      case 'announce-end':
        log.info(describeCause(effect.cause), 'Interruption learned');
        this.#writeDeadline();
        return this.#game?.warn();
      case 'move-end':
        log.info(describeCause(effect.cause), 'Interruption moved');
        return this.#writeDeadline();
      case 'withdraw-end':
        log.info({ id: effect.id }, 'Interruption cancelled');
        this.#onFiles((files) => files.withdrawDeadline());
        return this.#game?.resume();
      case 'stop-game':
        return this.#game?.stop(effect.signal);
      case 'forward-signal':
        return this.#game?.forward(effect.signal);
      case 'kill-game':
        return this.#game?.kill();
    }
  }

  /** The last events, within their time limit. */
  async finish(life: Extract<Life, { phase: 'ended' }>): Promise<void> {
    const { log } = this.#options.surroundings;
    this.#game?.dismiss();
    if (life.exit === undefined) return log.info({ reason: life.reason }, 'Game was never started');
    log.info(
      { exitCode: null, signal: null, ...('code' in life.exit ? { exitCode: life.exit.code } : life.exit) },
      'Game ended',
    );
    const unsentEvents = await this.#reporter.finish();
    log.info({ exitCode: exitStatusOf(life), unsentEvents }, 'Game server ended');
  }

  close(): void {
    this.#background.abort();
    this.#onFiles((files) => files.remove());
  }

  async #start(): Promise<void> {
    const { config, command, ports, happenings, surroundings } = this.#options;
    const { signal } = this.#background;
    const known =
      this.#whereabouts.known ?? (needsAddress(config, command) ? await this.#whereabouts.locate(signal) : undefined);
    this.#address ??= known?.publicHostname;
    this.#game = await SupervisedGame.start({
      config,
      command,
      ports,
      happenings,
      surroundings,
      env: this.#facts(),
      placeholders: () => this.#placeholders(),
      signal,
    });
    this.#keep(this.#reporter.run(signal));
    this.#keep(this.#beat(signal));
    this.#keep(this.#readStatusFile(signal));
    this.#keep(this.#findOut(known, signal));
  }

  /** A background task: it ends with us, and says so where it fails. */
  #keep(task: Promise<void>): void {
    task.catch((err) => {
      if (!this.#background.signal.aborted) this.#options.surroundings.log.error({ err }, 'Background task failed');
    });
  }

  async #findOut(known: Placement | undefined, signal: AbortSignal): Promise<void> {
    const { config, happenings } = this.#options;
    const placement = known ?? (await this.#whereabouts.locate(signal));
    this.#address ??= placement.publicHostname;
    this.#reporter.place(placement);
    this.#writeState();
    await this.#whereabouts.watchNotices(({ id, kind, deadlineMs }) => {
      if (deadlineMs === undefined) return;
      const endByMs = deadlineMs - config.safetyMarginMs;
      happenings.push({ kind: 'end-announced', cause: { id, via: 'metadata', reason: kind, deadlineMs, endByMs } });
    }, signal);
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const { config, happenings, surroundings } = this.#options;
    for (;;) {
      // Game servers that start together should not send together.
      await surroundings.clock.sleep(config.heartbeatMs * (0.9 + 0.2 * surroundings.random()), signal);
      happenings.push({ kind: 'heartbeat-due' });
    }
  }

  async #readStatusFile(signal: AbortSignal): Promise<void> {
    const { config, happenings, surroundings } = this.#options;
    if (config.statusFile === undefined) return;
    const file = new StatusFile(config.statusFile);
    for (;;) {
      const status = file.readIfChanged();
      if (typeof status === 'string')
        surroundings.log.warn({ file: config.statusFile, reason: status }, 'Status file unusable');
      if (typeof status === 'object') {
        this.#status = status;
        happenings.push({ kind: 'allocation', isAllocated: status.isAllocated });
        happenings.push({ kind: 'heartbeat-due' });
      }
      await surroundings.clock.sleep(statusFilePollMs, signal);
    }
  }

  #publish(name: Report['name']): void {
    const life = this.#life;
    const end = endOf(life);
    const status = statusOf(life);
    const { players } = this.#status;
    if (name === 'ready') this.#options.surroundings.log.info({}, 'Game ready');
    this.#reporter.report({
      name,
      status,
      labels: this.#labels(),
      players,
      deadlineMs: end?.deadlineMs,
      reason: end?.reason,
      exitCode: life.phase === 'ended' ? exitStatusOf(life) : undefined,
    });
    if (name === 'heartbeat') return;
    this.#agent.tellState({ type: 'state', state: status, ...(players === null ? {} : { players }) });
    this.#writeState();
  }

  #labels(): Readonly<Record<string, string>> {
    const problem = this.#life.phase === 'serving' ? this.#life.problem : undefined;
    const { risk } = this.#agent;
    return {
      ...Object.fromEntries(this.#options.config.labels),
      ...this.#status.labels,
      ...(risk === undefined ? {} : { 'spotable.dev/at-risk': risk }),
      ...(problem === undefined ? {} : { 'spotable.dev/unhealthy': problem }),
    };
  }

  #agentChanged(): void {
    this.#writeState();
    this.#options.happenings.push({ kind: 'heartbeat-due' });
  }

  /** With the seed's format the events are not the agent's to publish: it speaks CloudEvents. */
  #throughAgent(): Inventory | undefined {
    return this.#options.config.format === 'cloudevents' ? this.#agent.inventory : undefined;
  }

  /** What the game gets in its environment, besides its ports. */
  #facts(): Record<string, string> {
    const { config, surroundings } = this.#options;
    return {
      SPOTABLE_GAME_SERVER_ID: surroundings.gameServerId,
      ...(this.#address === undefined ? {} : { SPOTABLE_ADDRESS: this.#address }),
      ...(this.#files === undefined
        ? {}
        : { SPOTABLE_DEADLINE_FILE: this.#files.deadlineFile, SPOTABLE_STATE_FILE: this.#files.stateFile }),
      ...(config.statusFile === undefined ? {} : { SPOTABLE_STATUS_FILE: config.statusFile }),
    };
  }

  #placeholders(): Placeholders {
    const { ports, surroundings } = this.#options;
    const deadlineMs = endOf(this.#life)?.deadlineMs;
    return {
      ...Object.fromEntries(ports.map(({ name, port }) => [name, String(port)])),
      ...this.#facts(),
      ...(deadlineMs === undefined
        ? {}
        : {
            DEADLINE: instant(deadlineMs),
            SECONDS_LEFT: String(Math.max(0, Math.floor((deadlineMs - surroundings.clock.now()) / 1000))),
          }),
    };
  }

  #writeDeadline(): void {
    const deadlineMs = endOf(this.#life)?.deadlineMs;
    if (deadlineMs !== undefined) this.#onFiles((files) => files.writeDeadline(instant(deadlineMs)));
  }

  #writeState(): void {
    const { ports, surroundings } = this.#options;
    const end = endOf(this.#life);
    const { welcome, risk } = this.#agent;
    this.#onFiles((files) =>
      files.writeState({
        game_server_id: surroundings.gameServerId,
        state: statusOf(this.#life),
        address: this.#address ?? null,
        ports: Object.fromEntries(ports.map(({ name, port, protocol }) => [name, { port, protocol }])),
        link: welcome === undefined ? 'none' : 'linked',
        at_risk: risk ?? null,
        deadline: end?.deadlineMs === undefined ? null : instant(end.deadlineMs),
        reason: end?.reason ?? null,
      }),
    );
  }

  #createFiles(): GameFiles | undefined {
    const { config, surroundings } = this.#options;
    try {
      return createGameFiles(config.stateDir ?? surroundings.temporaryDirectory, surroundings.gameServerId);
    } catch (err) {
      surroundings.log.warn({ err }, 'No deadline and state files');
      return undefined;
    }
  }

  /** A full disk must not end a game. */
  #onFiles(act: (files: GameFiles) => void): void {
    try {
      if (this.#files !== undefined) act(this.#files);
    } catch (err) {
      this.#options.surroundings.log.warn({ err }, 'Cannot write for the game');
    }
  }
}

function describeCause({ via, reason, deadlineMs, endByMs }: EndCause): object {
  return {
    via,
    kind: reason,
    deadline: deadlineMs === undefined ? null : instant(deadlineMs),
    endBy: instant(endByMs),
  };
}

/** The SDK comes with the first event that has to go this way. */
function publishAlone(config: WrapperConfig): (() => Promise<Inventory>) | undefined {
  const { queueUrl, awsRegion: region, sqsEndpoint, awsEndpoint } = config;
  if (queueUrl === undefined) return undefined;
  const endpoint = (sqsEndpoint ?? awsEndpoint)?.href;
  let opened: Promise<Inventory> | undefined;
  return () => {
    opened ??= import('./inventory/publish-alone.ts').then((module) =>
      module.publishAlone({ queueUrl, region, endpoint }),
    );
    return opened;
  };
}

/** Whether the game's start has to wait until its address is known. */
function needsAddress(config: WrapperConfig, command: readonly string[]): boolean {
  const texts = [...command, ...config.properties.map(({ value }) => value)];
  return (
    config.advertise === undefined &&
    (config.templates.length > 0 || texts.some((text) => text.includes('{SPOTABLE_ADDRESS}')))
  );
}
