import type { GameSdk } from '../agones/game-sdk.ts';
import { keepChecking } from '../keep-checking.ts';
import type { LifeEvents } from '../life/life-events.ts';
import type { LeasedPort } from '../ports/port-lease.ts';
import type { WrapperConfig } from '../settings/config.ts';
import type { Action } from '../settings/parse-setting.ts';
import type { WrapperContext } from '../wrapper-context.ts';
import { GameTree } from './game-tree.ts';
import { givenOpenFiles } from './open-files.ts';
import { fillIn, type Placeholders } from './placeholders.ts';
import { isOnLoopbackAlone, readyCheck } from './ready-check.ts';
import { type ActionContext, runActions } from './run-actions.ts';
import { type Game, startGame } from './start-game.ts';
import { waitForTree } from './wait-for-tree.ts';
import { endsItsContainer, guardGroup, type Watchdog } from './watchdog.ts';
import { writeConfigFiles } from './write-config-files.ts';

export interface SupervisedGameOptions {
  readonly config: WrapperConfig;
  readonly command: readonly string[];
  readonly ports: readonly LeasedPort[];
  readonly lifeEvents: LifeEvents;
  readonly context: WrapperContext;
  readonly sdk: GameSdk | undefined;
  /** The game's environment variables in addition to ours. */
  readonly env: Readonly<Record<string, string>>;
  readonly placeholders: () => Placeholders;
  /** When the game will be killed, in epoch milliseconds, if an end is known. */
  readonly killAtMs: () => number | undefined;
  readonly signal: AbortSignal;
}

/** At 1/lateShare of the time left, signal the processes that should have got the signal from their launcher. */
const lateShare = 4;
const maxLateCheckMs = 1000;

/** The running game and everything that watches it. */
export class SupervisedGame {
  readonly #options: SupervisedGameOptions;
  readonly #game: Game;
  readonly #tree: GameTree;
  readonly #watchdog: Watchdog | undefined;
  readonly #actions: ActionContext;
  readonly #hurry = new AbortController();
  /** Actions that still run, or whose commands have not ended yet. */
  readonly #running = new Set<Promise<void>>();
  /** Processes that were sent a stop signal. `#stopSignal` is the last one sent. */
  readonly #told = new Set<number>();
  #stopSignal: NodeJS.Signals | undefined;
  #isReady = false;
  #isEnding = false;
  #isKilled = false;
  #isTold = false;

  private constructor(options: SupervisedGameOptions, game: Game, mark: string, watchdog: Watchdog | undefined) {
    const { context, placeholders } = options;
    const { clock, log } = context;
    this.#options = options;
    this.#game = game;
    this.#tree = new GameTree({ root: game.pid, mark, ports: options.ports });
    this.#watchdog = watchdog;
    const env = environmentOf(options);
    const { signal: hurry } = this.#hurry;
    this.#actions = {
      ...{ game, clock, log, env, hurry, placeholders },
      send: (name) => this.#sendStop(name),
      leftMs: () => this.#leftMs(),
      onDone: (how, pids) => this.noteTold(how, pids),
    };
  }

  /** Throws a FatalError if the game cannot be started. */
  static async start(options: SupervisedGameOptions): Promise<SupervisedGame> {
    const { config, command, context, placeholders } = options;
    const { log, clock, upMs, gameServerId } = context;
    const names = placeholders();
    writeConfigFiles(config.templates, config.properties, names);
    const [program = '', ...args] = command;
    // Actions do not get this variable: it tells the game's processes from all others.
    const mark = { SPOTABLE_GAME: gameServerId };
    const startedAtMs = clock.now();
    let watchdog: Watchdog | undefined;
    const game = await startGame({
      command: program,
      args: args.map((arg) => fillIn(arg, names)),
      env: { ...environmentOf(options), ...mark },
      needsStdin: [...config.stop, ...config.warn].some(({ kind }) => kind === 'stdin'),
      clock,
      log,
      // Start the watchdog at once: without it nothing ends the game when the wrapper is killed.
      onSpawn: (pid) => {
        watchdog = watchdogOf(pid, context);
      },
      openFiles: givenOpenFiles(context.ppid),
      logPattern: config.ready.kind === 'log' ? config.ready.pattern : undefined,
    });
    log.info({ pid: game.pid, startMs: Math.round(upMs() * 10) / 10 }, 'Game started');
    const supervised = new SupervisedGame(options, game, `SPOTABLE_GAME=${gameServerId}`, watchdog);
    supervised.#watch(startedAtMs);
    return supervised;
  }

  get pid(): number {
    return this.#game.pid;
  }

  /** Runs the warn actions for the players. From now on the game's exit is expected. */
  warn(): void {
    this.#isEnding = true;
    const { warn, signalScope } = this.#options.config;
    this.#run(warn, { ...this.#actions, send: (name) => this.#tree.stop(name, signalScope) });
  }

  resume(): void {
    this.#isEnding = false;
  }

  stop(signal: 'SIGTERM' | 'SIGINT'): void {
    this.#isEnding = true;
    const { stop } = this.#options.config;
    // Actions other than signals need an awake game too.
    if (stop.some(({ kind }) => kind !== 'signal')) this.#tree.wake();
    this.#run(stop.length > 0 ? stop : [{ kind: 'signal', signal }], this.#actions);
  }

  /** Skips the waits of stop actions. */
  hurry(): void {
    this.#hurry.abort();
  }

  forward(signal: NodeJS.Signals): void {
    this.#tree.forward(signal);
  }

  kill(): void {
    this.#isKilled = true;
    this.#game.hurryOutput();
    this.#tree.sendToAll('SIGKILL');
    this.#options.context.log.warn({}, 'Game killed');
  }

  /** Call when no process of the game is left. */
  dismiss(): void {
    this.#watchdog?.dismiss();
  }

  /** Resolves when our own helpers, the commands of actions and the watchdog, have ended too. */
  async left(): Promise<void> {
    await Promise.all([...this.#running, this.#watchdog?.left]);
  }

  processes(): readonly number[] {
    return this.#tree.list().entries.map(({ pid }) => pid);
  }

  #run(actions: readonly Action[], context: ActionContext): void {
    const done = runActions(actions, context, this.#options.signal).finally(() => this.#running.delete(done));
    this.#running.add(done);
  }

  #leftMs(): number {
    return (this.#options.killAtMs() ?? Number.POSITIVE_INFINITY) - this.#options.context.clock.now();
  }

  #sendStop(signal: NodeJS.Signals): readonly number[] {
    if (signal === 'SIGKILL') {
      const pids = this.processes();
      this.#game.hurryOutput();
      this.#tree.sendToAll(signal);
      return pids;
    }
    this.#stopSignal = signal;
    const { signalScope } = this.#options.config;
    const reached = this.#tree.stop(signal, signalScope);
    for (const pid of reached) this.#told.add(pid);
    const isGameTold = reached.some((pid) => this.#tree.holders.known.has(pid));
    if (signalScope === 'auto' && !isGameTold) void this.#tellOthersLater(signal);
    return reached;
  }

  /**
   * A launcher that catches the signal and does not pass it on would leave its game to the kill: signal the game itself
   * while there is time.
   */
  async #tellOthersLater(signal: NodeJS.Signals): Promise<void> {
    const { context, signal: over } = this.#options;
    const lateMs = this.#leftMs() / lateShare;
    try {
      while (this.#leftMs() > lateMs)
        await context.clock.sleep(Math.min(this.#leftMs() - lateMs, maxLateCheckMs), over);
    } catch {
      return;
    }
    if (!this.#isKilled) this.#tellOthers(signal);
  }

  #tellOthers(signal: NodeJS.Signals): void {
    const pids = this.#tree.stopOthers(signal, this.#told);
    for (const pid of pids) this.#told.add(pid);
    if (pids.length > 0) this.noteTold(`signal:${signal}`, pids);
  }

  #watch(startedAtMs: number): void {
    const { config, ports, lifeEvents, context, sdk, signal } = this.#options;
    const { clock, log, random, upMs } = context;
    const startedUpMs = upMs();
    const check = readyCheck(config.ready, {
      ports,
      startedAtMs,
      ageMs: () => upMs() - startedUpMs,
      holders: this.#tree.holders,
      hasLogged: () => this.#game.hasLogged(),
      hasSaidReady: () => sdk?.view.isReady ?? false,
    });
    const push: LifeEvents['push'] = (lifeEvent) => {
      if (lifeEvent.kind === 'game-ready') this.#isReady = true;
      if (lifeEvent.kind === 'game-not-ready') log.warn({ missing: lifeEvent.missing }, 'Game not ready in time');
      lifeEvents.push(sdk?.withHealth(lifeEvent) ?? lifeEvent);
      if (lifeEvent.kind === 'game-ready') this.#warnOfLoopback();
    };
    const checking = new AbortController();
    keepChecking(check, config, { clock, random, upMs, push }, AbortSignal.any([signal, checking.signal])).catch(
      (err) => {
        if (!signal.aborted && !checking.signal.aborted) log.error({ err }, 'Cannot check the game');
      },
    );
    const watch = {
      tree: this.#tree,
      isEnding: () => this.#isEnding,
      isReady: () => this.#isReady,
      wasKilled: () => this.#isKilled,
      clock,
      upMs,
      log,
    };
    void this.#game.exited
      .then((first) => {
        // A launcher that the signal killed has passed nothing on.
        if ('signal' in first && first.signal === this.#stopSignal) this.#tellOthers(first.signal);
        return waitForTree(first, watch);
      })
      .then((exit) => {
        checking.abort();
        lifeEvents.push({ kind: 'game-exited', exit });
      });
  }

  /** Records that the game was told of its end, and how. */
  noteTold(how: string, pids?: readonly number[]): void {
    const first = this.#isTold ? {} : { first: true };
    this.#options.context.log.info({ how, ...(pids === undefined ? {} : { pids }), ...first }, 'Game told');
    this.#isTold = true;
  }

  #warnOfLoopback(): void {
    const { config, ports, context } = this.#options;
    const [port] = ports;
    if (port === undefined || isLoopbackName(config.advertise) || !isOnLoopbackAlone(port)) return;
    context.log.warn({ ports: { [port.name]: port.port } }, 'Game listens on loopback only: no player can reach it');
  }
}

function watchdogOf(pid: number, context: WrapperContext): Watchdog | undefined {
  if (endsItsContainer(context)) return undefined;
  return guardGroup(pid, (err) => context.log.warn({ err }, 'No watchdog: the game outlives a wrapper that is killed'));
}

function isLoopbackName(host: string | undefined): boolean {
  return host !== undefined && /^(?:127\.|localhost$|::1$)/.test(host);
}

function environmentOf({ config, context, env }: SupervisedGameOptions): Record<string, string | undefined> {
  const inherited = { ...context.env };
  for (const name of config.hideEnv) delete inherited[name];
  return { ...inherited, ...env };
}
