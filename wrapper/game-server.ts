import { exitStatus, FatalError } from '../shared/exit-status.ts';
import { instant } from '../shared/interruption/interruption.ts';
import type { SessionMessage, StateMessage } from '../shared/link/link-message.ts';
import { collectGarbage } from '../shared/v8/collect-garbage.ts';
import { type GameSdk, openGameSdk } from './agones/game-sdk.ts';
import { announcedEnd } from './agones/model/announced-end.ts';
import {
  type Facts,
  gameEnvironment,
  hasBeenReady,
  needsAddress,
  occupancyOf,
  placeholders,
  playersOf,
  reportOf,
  stateDocument,
} from './facts.ts';
import { endSession, hearSession, noSession } from './fleet-session.ts';
import { createGameFiles, type GameFiles } from './game/game-files.ts';
import { unsaidStatus } from './game/status-file.ts';
import { SupervisedGame } from './game/supervised-game.ts';
import { type EndCause, flushLimitMs, killAtMs } from './life/end-plan.ts';
import type { LifeEvents } from './life/life-events.ts';
import { type Effect, endOf, exitStatusOf, initialLife, type Life, statusOf } from './life/lifecycle.ts';
import type { AgentSide } from './link/agent-side.ts';
import { PlacementResolver } from './placement-resolver.ts';
import type { LeasedPort } from './ports/port-lease.ts';
import { rangeClash, readEphemeralRange } from './ports/range-clash.ts';
import type { Report } from './publishing/event-writer.ts';
import { openReporter } from './publishing/open-reporter.ts';
import type { Reporter } from './publishing/reporter.ts';
import type { WrapperConfig } from './settings/config.ts';
import { keepBeating, watchNotices, watchStatusFile } from './watch.ts';
import type { WrapperContext } from './wrapper-context.ts';

export interface GameServerOptions {
  readonly config: WrapperConfig;
  readonly command: readonly string[];
  readonly ports: readonly LeasedPort[];
  readonly agent: AgentSide;
  readonly lifeEvents: LifeEvents;
  readonly context: WrapperContext;
  /** Aborts when the game server is over. */
  readonly signal: AbortSignal;
}

/** The first events after the game is ready need about this long to be sent. */
const settleMs = 3000;

/** Carries out the lifecycle's effects. */
export class GameServer {
  readonly #options: GameServerOptions;
  readonly #agent: AgentSide;
  readonly #placementResolver: PlacementResolver;
  readonly #reporter: Reporter;
  readonly #files: GameFiles | undefined;
  #sdk: GameSdk | undefined;
  #game: SupervisedGame | undefined;
  #life: Life = initialLife;
  #status = unsaidStatus;
  #session = noSession;
  #address: string | undefined;

  constructor(options: GameServerOptions) {
    const { config, ports, agent, context } = options;
    this.#options = options;
    this.#address = config.advertise;
    this.#agent = agent;
    this.#placementResolver = new PlacementResolver(config, agent, context);
    this.#reporter = openReporter({ config, ports, agent, context });
    this.#files = this.#createFiles();
    this.#writeState();
    // Skip the state file until the game runs: nobody reads it earlier, and the start writes it anyway.
    const onLink = () => this.#game !== undefined && this.#writeState();
    agent.tell({
      onLink,
      onRisk: () => this.#tellRisk(),
      onHint: () => this.#placementResolver.lookSoon(),
      onSession: (session) => this.#hearSession(session),
    });
  }

  /** Throws a FatalError if the game cannot be started. */
  async perform(effect: Effect, life: Life): Promise<void> {
    this.#life = life;
    this.#tellWatchers();
    const { log } = this.#options.context;
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
        // The game's own SDK watch has already told it of the end.
        if ((this.#sdk?.watchers ?? 0) > 0) this.#game?.noteTold('sdk:watch');
        return this.#game?.warn();
      case 'move-end':
        log.info(describeCause(effect.cause), 'Interruption deadline moved');
        return this.#writeDeadline();
      case 'withdraw-end':
        log.info({ id: effect.id }, 'Interruption cancelled');
        this.#withFiles((files) => files.withdrawDeadline());
        return this.#game?.resume();
      case 'stop-game':
        return this.#game?.stop(effect.signal);
      case 'hurry-stop':
        return this.#game?.hurry();
      case 'forward-signal':
        return this.#game?.forward(effect.signal);
      case 'kill-game':
        return this.#game?.kill();
    }
  }

  /** Publishes the last events until they are sent, time runs out, or `hurry` aborts. */
  async finish(life: Extract<Life, { phase: 'ended' }>, hurry: AbortSignal): Promise<void> {
    const { log, clock } = this.#options.context;
    const { exit, reason } = life;
    this.#game?.dismiss();
    if (exit === undefined) return log.info({ reason }, 'Game was never started');
    log.info('code' in exit ? { exitCode: exit.code, signal: null } : { exitCode: null, ...exit }, 'Game ended');
    this.#agent.comeBackSoon();
    const limit = AbortSignal.timeout(flushLimitMs(life, clock.now()));
    const unsentEvents = await this.#reporter.finish(AbortSignal.any([limit, hurry]));
    log.info({ exitCode: exitStatusOf(life), unsentEvents }, 'Game server ended');
  }

  /** Resolves when every process that we started has ended. */
  async left(): Promise<void> {
    await this.#game?.left();
  }

  close(): void {
    this.#sdk?.close();
    this.#withFiles((files) => files.remove());
  }

  async #start(): Promise<void> {
    const { config, command, context, signal } = this.#options;
    const placementResolver = this.#placementResolver;
    const mustWait = config.advertise === undefined && needsAddress(config, command);
    const known = placementResolver.known ?? (mustWait ? await placementResolver.locate(signal) : undefined);
    this.#address ??= known?.publicHostname;
    this.#sdk = await this.#openSdk(signal);
    this.#game = await SupervisedGame.start({
      ...this.#options,
      sdk: this.#sdk,
      env: gameEnvironment(this.#facts()),
      placeholders: () => placeholders(this.#facts(), context.clock.now()),
      killAtMs: () => (this.#life.phase === 'ending' ? killAtMs(this.#life) : undefined),
    });
    this.#sdk?.supervise(this.#game);
    this.#inBackground(this.#reporter.run(signal));
    this.#inBackground(this.#settleDown(signal));
  }

  /** Work that can wait until the game runs. */
  async #settleDown(signal: AbortSignal): Promise<void> {
    const { lifeEvents, config, context } = this.#options;
    this.#warnOfClash();
    this.#inBackground(keepBeating(config.heartbeatMs, lifeEvents, context, signal));
    const onStatus = (status: Facts['status']) => {
      const hasEnded = this.#status.isAllocated === true && status.isAllocated === false;
      this.#status = status;
      if (hasEnded) this.#endSession();
      this.#tellAgent();
      return status.isAllocated ?? this.#session.current !== undefined;
    };
    this.#inBackground(watchStatusFile(config.statusFile, onStatus, lifeEvents, context, signal));
    const placement = this.#placementResolver.known ?? (await this.#placementResolver.locate(signal));
    this.#address ??= placement.publicHostname;
    this.#reporter.place(placement);
    this.#writeState();
    await watchNotices(this.#placementResolver, config.safetyMarginMs, lifeEvents, signal);
  }

  #warnOfClash(): void {
    const { portRange: range } = this.#options.config;
    const clash = rangeClash(range, readEphemeralRange());
    if (clash !== undefined) this.#options.context.log.warn({ range, clash }, 'Port range overlaps another');
  }

  async #openSdk(signal: AbortSignal): Promise<GameSdk | undefined> {
    try {
      const onChange = (isReleased: boolean) => {
        if (isReleased) this.#endSession();
        this.#tellAgent();
      };
      const sdk = await openGameSdk({ ...this.#options, address: () => this.#address, onChange, signal });
      sdk?.announce(announcedEnd(this.#life), this.#agent.risk);
      sdk?.join(this.#session);
      return sdk;
    } catch (error) {
      throw new FatalError('Cannot serve the SDK', { status: exitStatus.unavailable, cause: error });
    }
  }

  /** Tells games that watch the SDK of the end. */
  #tellWatchers(): void {
    this.#sdk?.announce(announcedEnd(this.#life), this.#agent.risk);
  }

  /** Runs a task that ends with us, and logs its failure. */
  #inBackground(task: Promise<void>): void {
    task.catch((err) => {
      if (!this.#options.signal.aborted) this.#options.context.log.error({ err }, 'Background task failed');
    });
  }

  #publish(name: Report['name']): void {
    this.#logState(name);
    if (name === 'ready') this.#inBackground(this.#releaseMemory());
    this.#reporter.report(reportOf(name, this.#facts()));
    if (name === 'heartbeat') return;
    this.#tellAgent();
    // Skip the write after the game's end: nobody reads the file, and when many games end at once these writes hold
    // them up.
    if (name !== 'terminated') this.#writeState();
  }

  #tellAgent(): void {
    const facts = this.#facts();
    const [players, occupancy] = [playersOf(facts), occupancyOf(facts)];
    this.#agent.tellState({
      type: 'state',
      state: statusOf(this.#life),
      ...(players === null ? {} : { players }),
      ...(occupancy === undefined ? {} : { occupancy }),
      ...fleetState(facts),
    });
  }

  /** The agent may send this at any time. */
  #hearSession(message: SessionMessage): void {
    const { lifeEvents, config, context } = this.#options;
    const before = this.#session;
    const { session, change } = hearSession(this.#session, message, hasBeenReady(this.#life));
    this.#session = session;
    // Write the file before the SDK watch tells the game, because the game then reads the file.
    this.#writeSession();
    this.#sdk?.join(session);
    switch (change) {
      case 'none':
        // Tell the agent that we know about sessions, or that the ended one is no longer reported as over.
        if (before.pod === undefined || before.over !== session.over) this.#tellAgent();
        return;
      case 'spent': {
        const endByMs = context.clock.now() + config.gracePeriodMs;
        const cause = { id: 'spent', via: 'link', reason: 'spent', deadlineMs: undefined, endByMs } as const;
        lifeEvents.push({ kind: 'end-announced', cause });
        return;
      }
      case 'begun':
      case 'withdrawn':
        context.log.info({ session: session.current ?? null }, 'Session changed');
        // A game that speaks the SDK is allocated through the SDK, and the SDK reports that as if the game had said so.
        if (this.#sdk === undefined) lifeEvents.push({ kind: 'allocation', isAllocated: change === 'begun' });
        this.#tellAgent();
    }
  }

  #endSession(): void {
    this.#session = endSession(this.#session);
    this.#writeSession();
  }

  #writeSession(): void {
    const { current: id, pod } = this.#session;
    this.#withFiles((files) =>
      id === undefined ? files.removeSession() : files.writeSession({ session_id: id, ...pod }),
    );
  }

  #logState(name: Report['name']): void {
    const { log } = this.#options.context;
    if (name === 'ready') log.info({}, 'Game ready');
    if (this.#life.phase === 'serving' && this.#life.problem !== undefined && name !== 'heartbeat')
      log.warn({ problem: this.#life.problem }, 'Game unhealthy');
  }

  /** Runs once all the start's work is done. */
  async #releaseMemory(): Promise<void> {
    const { context, signal } = this.#options;
    await context.clock.sleep(settleMs, signal);
    collectGarbage();
  }

  #tellRisk(): void {
    this.#tellWatchers();
    this.#writeState();
    this.#options.lifeEvents.push({ kind: 'heartbeat-due' });
  }

  #facts(): Facts {
    const { config, ports, context } = this.#options;
    return {
      gameServerId: context.gameServerId,
      config,
      ports,
      life: this.#life,
      status: this.#status,
      sdk: this.#sdk,
      address: this.#address,
      isLinked: this.#agent.welcome !== undefined,
      risk: this.#agent.risk,
      files: this.#files,
      session: this.#session,
    };
  }

  #writeDeadline(): void {
    const deadlineMs = endOf(this.#life)?.deadlineMs;
    if (deadlineMs !== undefined) this.#withFiles((files) => files.writeDeadline(instant(deadlineMs)));
  }

  #writeState(): void {
    this.#withFiles((files) => files.writeState(stateDocument(this.#facts())));
  }

  #createFiles(): GameFiles | undefined {
    const { config, context } = this.#options;
    try {
      return createGameFiles(config.stateDir ?? context.temporaryDirectory, context.gameServerId);
    } catch (err) {
      context.log.warn({ err }, 'Cannot create the deadline and state files');
      return undefined;
    }
  }

  /** A full disk must not end a game. */
  #withFiles(act: (files: GameFiles) => void): void {
    try {
      if (this.#files !== undefined) act(this.#files);
    } catch (err) {
      this.#options.context.log.warn({ err }, 'Cannot write game file');
    }
  }
}

/** The game server's state as its fleet needs it. */
function fleetState({ session, address, sdk }: Facts): Partial<StateMessage> {
  const { pod, taken, over } = session;
  return {
    ...(address === undefined ? {} : { address }),
    ...(pod === undefined ? {} : { session_taken: taken }),
    ...(over === undefined ? {} : { session_over: over }),
    ...sdk?.counts,
  };
}

function describeCause({ via, reason, deadlineMs, endByMs }: EndCause): object {
  const deadline = deadlineMs === undefined ? null : instant(deadlineMs);
  return { via, kind: reason, deadline, endBy: instant(endByMs) };
}
