import { hasCode } from '../../shared/system-error.ts';
import type { GameSdk } from '../agones/game-sdk.ts';
import { keepChecking } from '../keep-checking.ts';
import type { LifeEvents } from '../life/life-events.ts';
import type { LeasedPort } from '../ports/port-lease.ts';
import type { WrapperConfig } from '../settings/config.ts';
import type { Action } from '../settings/parse-setting.ts';
import type { WrapperContext } from '../wrapper-context.ts';
import { fillIn, type Placeholders } from './placeholders.ts';
import { findGameProcesses, type ProcessEntry } from './process-table.ts';
import { readyCheck } from './ready-check.ts';
import { type ActionContext, runActions } from './run-actions.ts';
import { readBoundSockets } from './socket-table.ts';
import { type Game, startGame } from './start-game.ts';
import { type GameTree, waitForTree } from './wait-for-tree.ts';
import { endsItsContainer, guardGroup, type Watchdog } from './watchdog.ts';
import { writeConfigFiles } from './write-config-files.ts';

export interface SupervisedGameOptions {
  readonly config: WrapperConfig;
  readonly command: readonly string[];
  readonly ports: readonly LeasedPort[];
  readonly lifeEvents: LifeEvents;
  readonly context: WrapperContext;
  readonly sdk: GameSdk | undefined;
  /** What the game's environment has besides ours. */
  readonly env: Readonly<Record<string, string>>;
  readonly placeholders: () => Placeholders;
  readonly signal: AbortSignal;
}

/** The running game with everything that watches it. */
export class SupervisedGame implements GameTree {
  readonly #options: SupervisedGameOptions;
  readonly #game: Game;
  readonly #mark: string;
  readonly #watchdog: Watchdog | undefined;
  readonly #actions: ActionContext;
  readonly #hurry = new AbortController();
  /** Actions that run, or whose commands are not gone yet. */
  readonly #running = new Set<Promise<void>>();
  #isReady = false;
  #isEnding = false;
  #isKilled = false;
  #isTold = false;

  private constructor(options: SupervisedGameOptions, game: Game, mark: string, watchdog: Watchdog | undefined) {
    const { context, placeholders } = options;
    const { clock, log } = context;
    this.#options = options;
    this.#game = game;
    this.#mark = mark;
    this.#watchdog = watchdog;
    const env = environmentOf(options);
    const { signal: hurry } = this.#hurry;
    this.#actions = { game, clock, log, env, hurry, placeholders, onDone: (how) => this.noteTold(how) };
  }

  /** Throws a FatalError where the game cannot be started. */
  static async start(options: SupervisedGameOptions): Promise<SupervisedGame> {
    const { config, command, context, placeholders } = options;
    const { log, clock, upMs, gameServerId } = context;
    const names = placeholders();
    writeConfigFiles(config.templates, config.properties, names);
    const [program = '', ...args] = command;
    // Not part of the environment that actions get: it tells the game's processes from all others.
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
      // At once: before there is one nobody ends the game of a wrapper that is killed.
      onSpawn: (pid) => {
        watchdog = watchdogOf(pid, context);
      },
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

  /** From now on the game is not expected to stay; tells the players. */
  warn(): void {
    this.#isEnding = true;
    this.#run(this.#options.config.warn);
  }

  resume(): void {
    this.#isEnding = false;
  }

  stop(signal: 'SIGTERM' | 'SIGINT'): void {
    this.#isEnding = true;
    const { config } = this.#options;
    this.#run(config.stop.length > 0 ? config.stop : [{ kind: 'signal', signal }]);
  }

  /** What waits among the actions waits no longer. */
  hurry(): void {
    this.#hurry.abort();
  }

  forward(signal: NodeJS.Signals): void {
    this.#signalGroup(signal);
  }

  kill(): void {
    this.#isKilled = true;
    this.signalAll('SIGKILL');
    this.#options.context.log.warn({}, 'Game killed');
  }

  /** Nothing of the game is left. */
  dismiss(): void {
    this.#watchdog?.dismiss();
  }

  /** Resolves when our own helpers, the commands of actions and the watchdog, are gone too. */
  async left(): Promise<void> {
    await Promise.all([...this.#running, this.#watchdog?.left]);
  }

  processes(): readonly number[] {
    return this.#tree().map(({ pid }) => pid);
  }

  holdsPort(): boolean {
    const ports = new Set(this.#options.ports.map(({ port }) => port));
    return (['udp', 'tcp'] as const).some((protocol) => readBoundSockets(protocol, ports).length > 0);
  }

  signalAll(signal: 'SIGTERM' | 'SIGKILL'): void {
    // The group in one step, which no fork escapes; then whoever has left it.
    if (signal === 'SIGKILL') this.#signalGroup(signal);
    for (const { pid } of this.#tree()) signalProcess(pid, signal);
  }

  signalStrays(signal: 'SIGTERM'): void {
    for (const { pid, group } of this.#tree()) if (group !== this.#game.pid) signalProcess(pid, signal);
  }

  #run(actions: readonly Action[]): void {
    const done = runActions(actions, this.#actions, this.#options.signal).finally(() => this.#running.delete(done));
    this.#running.add(done);
  }

  /** A game that has become another user's is beyond our reach, and no reason to leave it alone. */
  #signalGroup(signal: NodeJS.Signals): void {
    try {
      this.#game.signal(signal);
    } catch (err) {
      this.#options.context.log.error({ err }, 'Cannot signal the game');
    }
  }

  #tree(): readonly ProcessEntry[] {
    return findGameProcesses(this.#game.pid, this.#mark);
  }

  #watch(startedAtMs: number): void {
    const { config, ports, lifeEvents, context, sdk, signal } = this.#options;
    const { clock, log, random, upMs } = context;
    const startedUpMs = upMs();
    const check = readyCheck(config.ready, {
      ports,
      startedAtMs,
      ageMs: () => upMs() - startedUpMs,
      processes: () => this.processes(),
      hasLogged: () => this.#game.hasLogged(),
      hasSaidReady: () => sdk?.view.isReady ?? false,
    });
    const push: LifeEvents['push'] = (lifeEvent) => {
      if (lifeEvent.kind === 'game-ready') this.#isReady = true;
      if (lifeEvent.kind === 'game-not-ready') log.warn({ missing: lifeEvent.missing }, 'Game not ready in time');
      lifeEvents.push(sdk?.withHealth(lifeEvent) ?? lifeEvent);
    };
    const checking = new AbortController();
    keepChecking(check, config, { clock, random, upMs, push }, AbortSignal.any([signal, checking.signal])).catch(
      (err) => {
        if (!signal.aborted && !checking.signal.aborted) log.error({ err }, 'Cannot check the game');
      },
    );
    const watch = {
      tree: this,
      isEnding: () => this.#isEnding,
      isReady: () => this.#isReady,
      wasKilled: () => this.#isKilled,
      clock,
      upMs,
      log,
    };
    void this.#game.exited
      .then((first) => waitForTree(first, watch))
      .then((exit) => {
        checking.abort();
        lifeEvents.push({ kind: 'game-exited', exit });
      });
  }

  /** Writes down that the game has been told of its end, and how. */
  noteTold(how: string): void {
    this.#options.context.log.info({ how, ...(this.#isTold ? {} : { first: true }) }, 'Game told');
    this.#isTold = true;
  }
}

function watchdogOf(pid: number, context: WrapperContext): Watchdog | undefined {
  if (endsItsContainer(context)) return undefined;
  return guardGroup(pid, (err) => context.log.warn({ err }, 'No watchdog: the game outlives a wrapper that is killed'));
}

function environmentOf({ config, context, env }: SupervisedGameOptions): Record<string, string | undefined> {
  const inherited = { ...context.env };
  for (const name of config.hideEnv) delete inherited[name];
  return { ...inherited, ...env };
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // Gone already, or a process of another user, which the container's end takes.
    if (!hasCode(error, 'ESRCH', 'EPERM')) throw error;
  }
}
