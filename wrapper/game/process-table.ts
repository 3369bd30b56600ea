import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface ProcessEntry {
  readonly pid: number;
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Clock ticks since boot. */
  readonly startTime: number;
}

/** Reads `/proc/PID/stat`. The name stands in parentheses and may itself contain spaces and parentheses. */
export function parseProcessStat(stat: string): ProcessEntry | undefined {
  const nameEnd = stat.lastIndexOf(')');
  const fields = stat.slice(nameEnd + 2).split(' ');
  const [state = '', parent, group, session] = fields;
  const entry = {
    pid: Number.parseInt(stat, 10),
    state,
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    startTime: Number(fields[19]),
  };
  return nameEnd < 0 || Number.isNaN(entry.pid + entry.parent + entry.startTime) ? undefined : entry;
}

/**
 * Which of the processes belong to the game: its process group and session, those that carry its mark (a daemon that has left the group, the
 * session and its parents still has the environment it was born with), and all their descendants.
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

/** The game's living processes. Empty where there is no /proc. */
export function findGameProcesses(root: number, mark: string): readonly ProcessEntry[] {
  const entries = readProcesses();
  const own = entries.find(({ pid }) => pid === process.pid);
  // Older processes than ourselves are not worth the look into their environment.
  const isCandidate = ({ pid, startTime }: ProcessEntry) => pid !== process.pid && startTime >= (own?.startTime ?? 0);
  return selectTree(entries, root, (entry) => isCandidate(entry) && hasEnvironmentEntry(entry.pid, mark));
}

function readProcesses(): ProcessEntry[] {
  const entries: ProcessEntry[] = [];
  for (const name of listDirectory('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readText(`/proc/${name}/stat`);
    const entry = stat === undefined ? undefined : parseProcessStat(stat);
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

function hasEnvironmentEntry(pid: number, mark: string): boolean {
  return readText(`/proc/${pid}/environ`)?.split('\0').includes(mark) ?? false;
}

/** The sockets that a process has open, by inode number; undefined where we may not look. */
export function socketInodes(pid: number): ReadonlySet<number> | undefined {
  const folder = `/proc/${pid}/fd`;
  const inodes = new Set<number>();
  try {
    for (const descriptor of readdirSync(folder)) {
      const target = readLink(`${folder}/${descriptor}`);
      const inode = /^socket:\[(\d+)\]$/.exec(target ?? '')?.[1];
      if (inode !== undefined) inodes.add(Number(inode));
    }
  } catch {
    // Gone meanwhile, or of another user.
    return undefined;
  }
  return inodes;
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

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
