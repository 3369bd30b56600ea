/**
 * Who gets a signal that is meant for the game. `auto`: see {@link addresseesOf}. `first`: the process that the wrapper
 * has started, as a container's runtime does. `game`: the processes that hold a leased port. `group`: everybody in the
 * process group, as a terminal does.
 */
export type SignalScope = 'auto' | 'first' | 'game' | 'group';

/** The game's processes at the moment of a signal. */
export interface SignalView {
  /** The game's first process and what it does with this signal; undefined: it has ended. */
  readonly first: { readonly pid: number; readonly reaction: 'caught' | 'ignored' | 'default' | undefined } | undefined;
  /** Those that hold a leased port, as far as can be seen. */
  readonly holders: readonly number[];
  /** All, those included that have left the process group. */
  readonly all: readonly number[];
  readonly inGroup: ReadonlySet<number>;
}

export interface Addressees {
  /** The process group, in one step that no fork escapes. */
  readonly group: boolean;
  readonly pids: readonly number[];
}

/**
 * By default whoever will end the game well hears of it, and nobody twice:
 * - A first process that holds the port is the game. Its helpers (a display, Wine's server) are left to it.
 * - A first process that catches the signal is a launcher that passes it on, or does what the game needs instead.
 * - Any other launcher dies of it, or is deaf to it: the game is told beside it.
 * - A game whose launcher has returned is told wherever it is.
 * Where nobody can be seen to hold a port everybody is told.
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
