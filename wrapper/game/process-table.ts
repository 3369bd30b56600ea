import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { hasCode } from '../../shared/system-error.ts';

export interface ProcessEntry {
  readonly pid: number;
  /** Cut by the kernel to 15 characters. */
  readonly name: string;
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Clock ticks since boot. */
  readonly startTime: number;
}

/** Parses `/proc/PID/stat`. The name is in parentheses and may itself contain spaces and parentheses. */
export function parseProcessStat(stat: string): ProcessEntry | undefined {
  const nameEnd = stat.lastIndexOf(')');
  const fields = stat.slice(nameEnd + 2).split(' ');
  const [state = '', parent, group, session] = fields;
  const entry = {
    pid: Number.parseInt(stat, 10),
    name: stat.slice(stat.indexOf('(') + 1, nameEnd),
    state,
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    startTime: Number(fields[19]),
  };
  return nameEnd < 0 || Number.isNaN(entry.pid + entry.parent + entry.startTime) ? undefined : entry;
}

/**
 * Selects the processes that belong to the game: its process group and session, those that carry its mark (a daemon
 * that has left the group, the session and its parents still has its original environment), and all their descendants.
 */
export function selectTree(
  entries: readonly ProcessEntry[],
  root: number,
  isMarked: (entry: ProcessEntry) => boolean,
): readonly ProcessEntry[] {
  const living = entries.filter(({ state }) => state !== 'Z' && state !== 'X');
  const tree = new Map<number, ProcessEntry>();
  for (const entry of living)
    if (entry.group === root || entry.session === root || isMarked(entry)) tree.set(entry.pid, entry);
  // Parents mostly have smaller PIDs than their children, so this settles in one or two rounds.
  for (let size = -1; size !== tree.size; ) {
    size = tree.size;
    for (const entry of living) if (tree.has(entry.parent)) tree.set(entry.pid, entry);
  }
  return [...tree.values()];
}

export interface GameProcessList {
  readonly entries: readonly ProcessEntry[];
  /** False: the game may have processes that we may not see or cannot recognise. */
  readonly isComplete: boolean;
}

/** The game's living processes; empty without /proc. */
export function findGameProcesses(root: number, mark: string): GameProcessList {
  const entries = readProcesses();
  const own = entries.find(({ pid }) => pid === process.pid);
  const ancestors = ancestorsOf(process.pid, entries);
  // With `hidepid` even the game's first process is missing from the list once it has changed its user.
  let isComplete = entries.some(({ pid }) => pid === root) || !isRunning(root);
  const isMarked = ({ pid, parent, startTime }: ProcessEntry) => {
    // Skip processes older than ourselves: reading their environment is wasted.
    if (pid === process.pid || startTime < (own?.startTime ?? 0)) return false;
    const isGame = hasEnvironmentEntry(pid, mark);
    // An orphan's parent is the init of its container, or a subreaper.
    if (isGame === undefined && ancestors.has(parent)) isComplete = false;
    return isGame ?? false;
  };
  return { entries: selectTree(entries, root, isMarked), isComplete };
}

/** The processes above `pid`, PID 1 included. */
function ancestorsOf(pid: number, entries: readonly ProcessEntry[]): ReadonlySet<number> {
  const parents = new Map(entries.map((entry) => [entry.pid, entry.parent]));
  const found = new Set([1]);
  for (let above = parents.get(pid); above !== undefined && above > 0; above = parents.get(above)) found.add(above);
  return found;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

/** Whether /proc hides processes of other users (`hidepid`). */
export function hidesProcesses(): boolean {
  const mounts = readText('/proc/self/mounts')?.split('\n') ?? [];
  return mounts.some((line) => /^\S+ \/proc proc \S*hidepid=(?!0|off)/.test(line));
}

function readProcesses(): ProcessEntry[] {
  const entries: ProcessEntry[] = [];
  for (const name of listDirectory('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const entry = readProcess(Number(name));
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

/** undefined: we may not read its environment. */
function hasEnvironmentEntry(pid: number, entry: string): boolean | undefined {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(entry);
  } catch (error) {
    return isForbidden(error) ? undefined : false;
  }
}

/**
 * The process's open sockets, by inode number; undefined if we may not read them. Root without CAP_SYS_PTRACE may list
 * another user's descriptors, but cannot read their targets.
 */
export function socketInodes(pid: number): ReadonlySet<number> | undefined {
  const folder = `/proc/${pid}/fd`;
  const inodes = new Set<number>();
  try {
    for (const descriptor of readdirSync(folder)) {
      const inode = socketInode(`${folder}/${descriptor}`);
      if (inode !== undefined) inodes.add(inode);
    }
  } catch (error) {
    return isForbidden(error) ? undefined : inodes;
  }
  return inodes;
}

/** undefined: the descriptor is not a socket, or was closed meanwhile. Throws if we may not read it. */
export function socketInode(descriptor: string): number | undefined {
  try {
    const digits = /^socket:\[(\d+)\]$/.exec(readlinkSync(descriptor))?.[1];
    return digits === undefined ? undefined : Number(digits);
  } catch (error) {
    if (isForbidden(error)) throw error;
    return undefined;
  }
}

export function isForbidden(error: unknown): boolean {
  return hasCode(error, 'EACCES', 'EPERM');
}

/**
 * The process's reaction to a signal; undefined: we may not read it, or the process has ended. `number` is the
 * kernel's.
 */
export function reactionOf(pid: number, number: number): 'caught' | 'ignored' | 'default' | undefined {
  const status = readText(`/proc/${pid}/status`);
  if (status === undefined) return undefined;
  const isIn = (set: 'SigCgt' | 'SigIgn') => {
    const mask = new RegExp(`^${set}:\\s*([0-9a-f]+)`, 'm').exec(status)?.[1];
    return mask !== undefined && (BigInt(`0x${mask}`) & (1n << BigInt(number - 1))) !== 0n;
  };
  if (isIn('SigCgt')) return 'caught';
  return isIn('SigIgn') ? 'ignored' : 'default';
}

/**
 * Whether a living process has no children; false if the kernel does not tell. Each thread has its own list of
 * children.
 */
export function isChildless(pid: number): boolean {
  const threads = listDirectory(`/proc/${pid}/task`);
  return threads.length > 0 && threads.every((thread) => readText(`/proc/${pid}/task/${thread}/children`) === '');
}

export function readProcess(pid: number): ProcessEntry | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : parseProcessStat(stat);
}

function listDirectory(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
