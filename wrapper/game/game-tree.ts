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
  /** An entry of the environment that every process of the game was born with. */
  readonly mark: string;
  readonly ports: readonly LeasedPort[];
}

/** The game's processes, wherever they went, and the signals to them. */
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
   * Whether any of these is the game itself and no helper of it; undefined where nobody has ever been seen to hold a
   * port.
   */
  includesGame(entries: readonly ProcessEntry[]): boolean | undefined {
    // One that has let its port go may still be saving.
    if (this.holders.among(entries, this.#sockets()).length > 0 || this.holders.known.size > 0) return true;
    return this.holders.wereSeen ? false : undefined;
  }

  /** Sends a stop signal to whom it concerns, and wakes the game. Returns whom it has reached. */
  stop(signal: NodeJS.Signals, scope: SignalScope): readonly number[] {
    const { root } = this.#options;
    // The usual game is one process: no need to look through all of /proc while many games end at once.
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
    // Of a group that cannot be seen at least its number is known.
    const reachedGroup = group && reach(-root, signal) ? [root, ...inGroup] : [];
    const reached = new Set([...reachedGroup, ...reachAll(pids, signal)]);
    wake(pidsOf(entries));
    return [...reached];
  }

  /** The same to those who hold a port and are not among the told. */
  stopOthers(signal: NodeJS.Signals, told: ReadonlySet<number>): readonly number[] {
    const { entries } = this.list();
    const untold = this.holders.among(entries, this.#sockets()).filter((pid) => !told.has(pid));
    const reached = reachAll(untold, signal);
    wake(pidsOf(entries));
    return reached;
  }

  /** Passes on a signal that has another meaning than to stop: to the group, and to a game that has left it. */
  forward(signal: NodeJS.Signals): void {
    const { root } = this.#options;
    reach(-root, signal);
    const outside = this.list().entries.filter(({ group }) => group !== root);
    reachAll(this.holders.among(outside, this.#sockets()), signal);
  }

  /** To every process of the game. */
  sendToAll(signal: 'SIGTERM' | 'SIGKILL'): void {
    // The group in one step, which no fork escapes; then whoever has left it.
    if (signal === 'SIGKILL') reach(-this.#options.root, signal);
    reachAll(pidsOf(this.list().entries), signal);
  }

  /** A game that a script has paused hears nothing, on its console neither. */
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
 * Shells and Python catch SIGINT for themselves, to end after their child. A launcher that passes it on catches SIGTERM
 * too: that is what container runtimes send.
 */
function launcherReaction(pid: number, signal: NodeJS.Signals): ReturnType<typeof reactionOf> {
  const reaction = reactionOf(pid, signalNumbers[signal] ?? 0);
  const isForItself =
    signal === 'SIGINT' && reaction === 'caught' && reactionOf(pid, forwardedSignals.SIGTERM) !== 'caught';
  return isForItself ? 'default' : reaction;
}

/** Whether they are stopped or not: a SIGSTOP that is still on its way is taken back by it too. */
function wake(pids: readonly number[]): void {
  reachAll(pids, 'SIGCONT');
}

function pidsOf(entries: readonly ProcessEntry[]): readonly number[] {
  return entries.map(({ pid }) => pid);
}

function reachAll(pids: readonly number[], signal: NodeJS.Signals): readonly number[] {
  return pids.filter((pid) => reach(pid, signal));
}

/** False: it has gone already, or it is another user's and beyond our reach; the container's end takes it. */
function reach(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (hasCode(error, 'ESRCH', 'EPERM')) return false;
    throw error;
  }
}
