import type { Clock } from '../../../shared/clock.ts';
import type { Log } from '../../../shared/log.ts';
import { type Peer, peerKey, readPeerInodes } from './connection-table.ts';
import { socketsOf, startTimeOf } from './socket-holders.ts';

export interface GameProcesses {
  /** The game's living processes. The scan costs milliseconds on a machine with many processes. */
  processes(): readonly number[];
}

/** Whether the game owns a connection. */
export type CallerCheck = (peer: Peer) => Promise<boolean>;

interface Waiting {
  readonly peer: Peer;
  readonly answer: (isOwn: boolean) => void;
}

/** Pause between two scans of all processes, so that strangers who call in a loop cost next to nothing. */
const searchGapMs = 250;
/** Pause between two log lines about strangers. */
const warnGapMs = 10_000;

/**
 * Tells the game's connections from those of other pods: on the host network every process of the node reaches our
 * loopback ports. The peer's port leads to its socket in the kernel's table, and the socket to a process of the game.
 * Connections that arrive together are looked up together. Ask once per connection: no other process can get hold of
 * its other end unless the game hands it over.
 */
export class OwnCallers {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #game = Promise.withResolvers<GameProcesses>();
  /** Known processes of the game, with their start times. */
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

  /** Sets the game once it has started. Earlier callers get their answer now. */
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
        if (!this.#signal.aborted)
          this.#log.error({ err }, 'SDK calls refused: cannot tell whether the game made them');
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
    if (!isComplete) this.#warn('SDK calls refused: not from the game', { strangers: wanted.size - own.size });
  }

  /** Searches all processes for new ones of the game. */
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
        this.#warn("Cannot read the game's open files: run it as the same user as the wrapper, or set --sdk-open", {
          pid,
        });
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
