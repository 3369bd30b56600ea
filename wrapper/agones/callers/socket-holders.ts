import { readdirSync } from 'node:fs';
import { isForbidden, readProcess, socketInode } from '../../game/process-table.ts';

/**
 * Which of the wanted sockets the process has open. Stops as soon as all are found: a game may have thousands of
 * connections of its own. `hidden` where its descriptors may not be looked at.
 */
export function socketsOf(pid: number, wanted: ReadonlySet<number>): ReadonlySet<number> | 'gone' | 'hidden' {
  const folder = `/proc/${pid}/fd`;
  const found = new Set<number>();
  try {
    // The youngest descriptors last: a connection that was just made is most likely among them.
    for (const descriptor of readdirSync(folder).reverse()) {
      const inode = socketInode(`${folder}/${descriptor}`);
      if (inode !== undefined && wanted.has(inode)) found.add(inode);
      if (found.size === wanted.size) break;
    }
  } catch (error) {
    return isForbidden(error) ? 'hidden' : 'gone';
  }
  return found;
}

/** Tells a process from a later one of the same number; undefined: there is none. */
export function startTimeOf(pid: number): number | undefined {
  return readProcess(pid)?.startTime;
}
