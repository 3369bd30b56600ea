import { hasCode } from '../../shared/system-error.ts';
import type { LeasedPort } from '../ports/port-lease.ts';
import { forwardedSignals, signalNumbers } from '../signal-numbers.ts';
import { addresseesOf, type SignalScope } from './addressees.ts';
import { isHelper, PortHolders } from './port-holders.ts';
import {
  findGameProcesses,
  type GameProcessList,
  isChildless,
  type ProcessEntry,
  reactionOf,
} from './process-table.ts';
import { type BoundSocket, readBoundSockets } from './socket-table.ts';

export interface GameTreeOptions {
  /** The first process: it leads a process group of the same number. */
  readonly root: number;
  /** An environment entry that every process of the game starts with. */
  readonly mark: string;
  readonly ports: readonly LeasedPort[];
}

/** Finds the game's processes, wherever they went, and signals them. */
export class GameTree {
  readonly #options: GameTreeOptions;
  readonly holders: PortHolders;

  constructor(options: GameTreeOptions) {
    this.#options = options;
    this.holders = new PortHolders(() => this.list());
  }

  list(): GameProcessList {
    return findGameProcesses(this.#options.root, this.#options.mark);
  }

  isPortBound(): boolean {
    return this.#sockets().length > 0;
  }

  /**
   * Whether any of these is the game itself rather than a helper; undefined if no process has ever been seen to hold a
   * port.
   */
  includesGame(entries: readonly ProcessEntry[]): boolean | undefined {
    // A game that has closed its port may still be saving.
    if (this.holders.among(entries, this.#sockets()).length > 0 || this.holders.known.size > 0) return true;
    return this.holders.wereSeen ? false : undefined;
  }

  /** Sends a stop signal to its addressees and wakes the game. Returns the processes that it reached. */
  stop(signal: NodeJS.Signals, scope: SignalScope): readonly number[] {
    const { root } = this.#options;
    // Most games are one process: skip the scan of /proc, because many games may end at once.
    const { known } = this.holders;
    const isUsual = known.has(root) || (known.size === 0 && isChildless(root));
    if (isUsual && (scope === 'auto' || scope === 'first')) {
      const reached = reachAll([root], signal);
      if (reached.length > 0) wake(reached);
      return reached;
    }
    const { entries } = this.list();
    const isAlive = entries.some(({ pid }) => pid === root);
    const inGroup = pidsOf(entries.filter(({ group }) => group === root));
    const { group, pids } = addresseesOf(scope, {
      first: isAlive ? { pid: root, reaction: launcherReaction(root, signal) } : undefined,
      holders: this.holders.among(entries, this.#sockets()),
      all: pidsOf(entries.filter((entry) => !isHelper(entry))),
      inGroup: new Set(inGroup),
    });
    // If the group's members cannot be seen, report at least its number.
    const reachedGroup = group && reach(-root, signal) ? [root, ...inGroup] : [];
    const reached = new Set([...reachedGroup, ...reachAll(pids, signal)]);
    wake(pidsOf(entries));
    return [...reached];
  }

  /** Sends the stop signal to port holders that have not been told. */
  stopOthers(signal: NodeJS.Signals, told: ReadonlySet<number>): readonly number[] {
    const { entries } = this.list();
    const untold = this.holders.among(entries, this.#sockets()).filter((pid) => !told.has(pid));
    const reached = reachAll(untold, signal);
    wake(pidsOf(entries));
    return reached;
  }

  /** Passes on a signal that does not mean stop: to the group, and to a game that has left it. */
  forward(signal: NodeJS.Signals): void {
    const { root } = this.#options;
    reach(-root, signal);
    const outside = this.list().entries.filter(({ group }) => group !== root);
    reachAll(this.holders.among(outside, this.#sockets()), signal);
  }

  /** Signals every process of the game. */
  sendToAll(signal: 'SIGTERM' | 'SIGKILL'): void {
    // Kill the group in one call, which no fork escapes, then any process that has left it.
    if (signal === 'SIGKILL') reach(-this.#options.root, signal);
    reachAll(pidsOf(this.list().entries), signal);
  }

  /** A paused game receives nothing, not even from its console. */
  wake(): void {
    wake(pidsOf(this.list().entries));
  }

  #sockets(): readonly BoundSocket[] {
    const numbers = (protocol: 'udp' | 'tcp') =>
      new Set(this.#options.ports.filter((port) => port.protocol.includes(protocol)).map(({ port }) => port));
    return (['udp', 'tcp'] as const).flatMap((protocol) => {
      const wanted = numbers(protocol);
      return wanted.size === 0 ? [] : readBoundSockets(protocol, wanted);
    });
  }
}

/**
 * Shells and Python catch SIGINT for themselves, to end after their child. Judge such a launcher by SIGTERM: one that
 * passes signals on catches SIGTERM too, because container runtimes send that.
 */
function launcherReaction(pid: number, signal: NodeJS.Signals): ReturnType<typeof reactionOf> {
  const reaction = reactionOf(pid, signalNumbers[signal] ?? 0);
  const isForItself =
    signal === 'SIGINT' && reaction === 'caught' && reactionOf(pid, forwardedSignals.SIGTERM) !== 'caught';
  return isForItself ? 'default' : reaction;
}

/** Send SIGCONT to running processes too: it also cancels a SIGSTOP that is still on its way. */
function wake(pids: readonly number[]): void {
  reachAll(pids, 'SIGCONT');
}

function pidsOf(entries: readonly ProcessEntry[]): readonly number[] {
  return entries.map(({ pid }) => pid);
}

function reachAll(pids: readonly number[], signal: NodeJS.Signals): readonly number[] {
  return pids.filter((pid) => reach(pid, signal));
}

/** False: the process has gone, or belongs to another user and cannot be signalled; then it ends with the container. */
function reach(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (hasCode(error, 'ESRCH', 'EPERM')) return false;
    throw error;
  }
}
