import { type GameProcessList, hidesProcesses, type ProcessEntry, socketInodes } from './process-table.ts';
import type { BoundSocket } from './socket-table.ts';

/**
 * Wine's server process also has every socket of the programs it serves open. It is not the game: it outlives them, and
 * its end would end them.
 */
const wineServer = /^wineserver/;

export function isHelper({ name }: ProcessEntry): boolean {
  return wineServer.test(name);
}

/** Tells which of the game's processes hold its ports. */
export class PortHolders {
  readonly #look: () => GameProcessList;
  readonly #known = new Set<number>();
  #wereSeen = false;

  constructor(look: () => GameProcessList) {
    this.#look = look;
  }

  /** Processes that have held one of the ports and were alive at the last scan. */
  get known(): ReadonlySet<number> {
    return this.#known;
  }

  /** Whether a holder was ever found. */
  get wereSeen(): boolean {
    return this.#wereSeen;
  }

  /**
   * Whether one of the sockets is the game's; undefined if unknown: then only the lease tells the port's owner. Check
   * the last holder first, because a scan of /proc costs milliseconds.
   */
  isOwn(sockets: readonly BoundSocket[]): boolean | undefined {
    for (const pid of this.#known) if (hasOneOf(pid, sockets) === true) return true;
    const { entries, isComplete } = this.#look();
    const { holding, hidden } = this.#sort(entries, sockets);
    if (holding.length > 0) return true;
    return hidden.length > 0 || !isComplete || hidesProcesses() ? undefined : false;
  }

  /**
   * Searches these processes again for holders of the sockets. If none can be seen, returns the processes that we may
   * not inspect.
   */
  among(entries: readonly ProcessEntry[], sockets: readonly BoundSocket[]): readonly number[] {
    const { holding, hidden } = this.#sort(
      entries.filter((entry) => !isHelper(entry)),
      sockets,
    );
    return holding.length > 0 ? holding : hidden;
  }

  #sort(
    entries: readonly ProcessEntry[],
    sockets: readonly BoundSocket[],
  ): { readonly holding: readonly number[]; readonly hidden: readonly number[] } {
    const living = new Set(entries.map(({ pid }) => pid));
    for (const pid of this.#known) if (!living.has(pid)) this.#known.delete(pid);
    const holding: number[] = [];
    const hidden: number[] = [];
    for (const entry of entries) {
      const has = hasOneOf(entry.pid, sockets);
      if (has === undefined) hidden.push(entry.pid);
      if (has !== true) continue;
      holding.push(entry.pid);
      if (isHelper(entry)) continue;
      this.#known.add(entry.pid);
      this.#wereSeen = true;
    }
    return { holding, hidden };
  }
}

function hasOneOf(pid: number, sockets: readonly BoundSocket[]): boolean | undefined {
  const inodes = socketInodes(pid);
  return inodes === undefined ? undefined : sockets.some(({ inode }) => inodes.has(inode));
}
