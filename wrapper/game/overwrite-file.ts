import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { hasCode } from '../../shared/system-error.ts';

/**
 * Gives a file new content in one step: a full disk or a kill leaves the old one. Where the folder does not allow that
 * (it may not be written to, or the file is a mount of its own), the file is written over. Keeps mode, owner and
 * symbolic links. Throws Node's error.
 */
export function overwriteFile(path: string, content: Buffer): void {
  const target = realpathIfThere(path);
  const found = statSync(target, { throwIfNoEntry: false });
  if (found?.size === content.length && found.isFile() && readFileSync(target).equals(content)) return;
  try {
    // A pipe or a device is written to, and a second name of the same file is to show the new content as well.
    if (found !== undefined && (!found.isFile() || found.nlink > 1)) writeFileSync(target, content);
    else replaceFile(target, found, content);
  } catch (error) {
    if (!mayWriteOver(error, content, found)) throw error;
    writeFileSync(target, content);
  }
}

function realpathIfThere(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return path;
    throw error;
  }
}

function replaceFile(target: string, found: Stats | undefined, content: Buffer): void {
  // On the same file system as the target, and a name that nobody else has.
  const folder = mkdtempSync(join(dirname(target), '.spotable-'));
  try {
    const fresh = join(folder, basename(target));
    writeFileSync(fresh, content);
    if (found !== undefined) {
      const { uid, gid } = statSync(fresh);
      if (uid !== found.uid || gid !== found.gid) chownSync(fresh, found.uid, found.gid);
      chmodSync(fresh, found.mode & 0o7777);
    }
    renameSync(fresh, target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a full disk cannot take twice may still fit where it stands. */
function mayWriteOver(error: unknown, content: Buffer, found: Stats | undefined): boolean {
  if (hasCode(error, 'ENOSPC', 'EDQUOT')) return found !== undefined && content.length <= found.size;
  return hasCode(error, 'EACCES', 'EPERM', 'EROFS', 'EBUSY', 'EXDEV');
}
