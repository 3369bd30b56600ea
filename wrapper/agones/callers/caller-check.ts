import type { Clock } from '../../../shared/clock.ts';
import type { Log } from '../../../shared/log.ts';
import { type Peer, peerKey, readPeerInodes } from './connection-table.ts';
import { socketsOf, startTimeOf } from './socket-holders.ts';

export interface GameProcesses {
  /** The game's living processes. Costs milliseconds on a machine with many. */
  processes(): readonly number[];
}

/** Whether a connection is the game's own. */
export type CallerCheck = (peer: Peer) => Promise<boolean>;

interface Waiting {
  readonly peer: Peer;
  readonly answer: (isOwn: boolean) => void;
}

/** Between two looks through all processes, so that strangers who call in a loop cost next to nothing. */
const searchGapMs = 250;
/** Between two lines of log about strangers. */
const warnGapMs = 10_000;

/**
 * Tells the game's connections from those of other pods: with the host's network everybody on the node reaches our
 * loopback ports. The peer's port leads to its socket in the kernel's table, and the socket to a process of the game.
 * Connections that arrive together are looked up together. Asked once a connection: no other process can come to hold
 * its other end, unless the game hands it over.
 */
export class OwnCallers {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #game = Promise.withResolvers<GameProcesses>();
  /** The game's processes as far as known, with their start times. */
  readonly #known = new Map<number, number>();
  #waiting: Waiting[] = [];
  #isRunning = false;
  #searchedAtMs = Number.NEGATIVE_INFINITY;
  #warnedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: { readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#signal = options.signal;
  }

  /** From now on there is a game; whoever has called earlier is answered then. */
  supervise(game: GameProcesses): void {
    this.#game.resolve(game);
  }

  isOwn(peer: Peer): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting.push({ peer, answer: resolve });
    if (!this.#isRunning) void this.#run();
    return promise;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    const game = await this.#game.promise;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#answer(batch, game);
      } catch (err) {
        if (!this.#signal.aborted) this.#log.error({ err }, 'Cannot tell whose SDK calls these are: refused');
        for (const { answer } of batch) answer(false);
      }
    }
    this.#isRunning = false;
  }

  async #answer(batch: readonly Waiting[], game: GameProcesses): Promise<void> {
    const inodes = await readPeerInodes(batch.map(({ peer }) => peer));
    const wanted = new Set(inodes.values());
    const own = new Set<number>();
    this.#collect(this.#knownProcesses(), wanted, own);
    const isComplete = own.size === wanted.size || (await this.#search(game, wanted, own));
    for (const { peer, answer } of batch) {
      const inode = inodes.get(peerKey(peer));
      answer(inode !== undefined && own.has(inode));
    }
    if (!isComplete) this.#warn('SDK call of a stranger refused', { strangers: wanted.size - own.size });
  }

  /** Looks through all processes for new ones of the game. */
  async #search(game: GameProcesses, wanted: ReadonlySet<number>, own: Set<number>): Promise<boolean> {
    await this.#clock.sleep(this.#searchedAtMs + searchGapMs - this.#clock.now(), this.#signal);
    this.#searchedAtMs = this.#clock.now();
    this.#known.clear();
    for (const pid of game.processes()) {
      const startTime = startTimeOf(pid);
      if (startTime !== undefined) this.#known.set(pid, startTime);
    }
    this.#collect([...this.#known.keys()], wanted, own);
    return own.size === wanted.size;
  }

  #collect(pids: readonly number[], wanted: ReadonlySet<number>, own: Set<number>): void {
    for (const pid of pids) {
      if (own.size === wanted.size) return;
      const sockets = socketsOf(pid, wanted);
      if (sockets === 'hidden')
        this.#warn('Cannot look into the game: run it as the same user as the wrapper, or give --sdk-open', { pid });
      else if (sockets !== 'gone') for (const inode of sockets) own.add(inode);
    }
  }

  #knownProcesses(): readonly number[] {
    return [...this.#known].filter(([pid, startTime]) => startTimeOf(pid) === startTime).map(([pid]) => pid);
  }

  #warn(message: string, fields: object): void {
    if (this.#clock.now() - this.#warnedAtMs < warnGapMs) return;
    this.#warnedAtMs = this.#clock.now();
    this.#log.warn(fields, message);
  }
}
