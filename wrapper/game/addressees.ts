/**
 * Which processes get a signal for the game. `auto`: see {@link addresseesOf}. `first`: the process that the wrapper
 * has started, as container runtimes do. `game`: the processes that hold a leased port. `group`: the whole process
 * group, as a terminal does.
 */
export type SignalScope = 'auto' | 'first' | 'game' | 'group';

/** The game's processes at the moment of a signal. */
export interface SignalView {
  /** The game's first process and its reaction to this signal; undefined: it has ended. */
  readonly first: { readonly pid: number; readonly reaction: 'caught' | 'ignored' | 'default' | undefined } | undefined;
  /** Processes seen to hold a leased port. */
  readonly holders: readonly number[];
  /** All processes, including those that have left the process group. */
  readonly all: readonly number[];
  readonly inGroup: ReadonlySet<number>;
}

export interface Addressees {
  /** Signal the process group, in one call that no fork escapes. */
  readonly group: boolean;
  readonly pids: readonly number[];
}

/**
 * By default send the signal once to every process that will end the game well:
 * - A first process that holds the port is the game. Leave its helpers (a display, Wine's server) to it.
 * - A first process that catches the signal is a launcher that passes it on, or does what the game needs instead.
 * - Any other launcher dies of the signal or ignores it: signal the game as well.
 * - If the launcher has returned, signal the game wherever it is.
 *
 * If no process can be seen to hold a port, signal all of them.
 */
export function addresseesOf(scope: SignalScope, view: SignalView): Addressees {
  const { first, holders, all, inGroup } = view;
  const outside = (pids: readonly number[]) => pids.filter((pid) => !inGroup.has(pid));
  const everybody = { group: true, pids: outside(all) };
  const game = holders.length > 0 ? { group: false, pids: holders } : everybody;
  const firstAlone = first === undefined ? game : { group: false, pids: [first.pid] };
  switch (scope) {
    case 'group':
      return inGroup.size > 0 ? { group: true, pids: outside(holders) } : game;
    case 'game':
      return game;
    case 'first':
      return firstAlone;
    case 'auto':
      if (first === undefined || holders.includes(first.pid) || first.reaction === 'caught') return firstAlone;
      return holders.length > 0 ? { group: false, pids: [first.pid, ...holders] } : everybody;
  }
}
