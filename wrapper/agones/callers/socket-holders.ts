import { readdirSync } from 'node:fs';
import { isForbidden, readProcess, socketInode } from '../../game/process-table.ts';

/**
 * The wanted sockets that the process has open. Stops as soon as all are found, because a game may have thousands of
 * connections of its own. `hidden`: we may not read its descriptors.
 */
export function socketsOf(pid: number, wanted: ReadonlySet<number>): ReadonlySet<number> | 'gone' | 'hidden' {
  const folder = `/proc/${pid}/fd`;
  const found = new Set<number>();
  try {
    // Start with the newest descriptors: a connection that was just made is most likely among them.
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

/** Distinguishes a process from a later one with the same PID; undefined: there is none. */
export function startTimeOf(pid: number): number | undefined {
  return readProcess(pid)?.startTime;
}
