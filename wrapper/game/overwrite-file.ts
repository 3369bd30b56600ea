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
 * Replaces a file's content in one step: a full disk or a kill leaves the old content. If the folder does not allow
 * that (it is not writable, or the file is a mount of its own), the file is overwritten in place. Keeps mode, owner and
 * symbolic links. Throws Node's error.
 */
export function overwriteFile(path: string, content: Buffer): void {
  const target = realpathIfThere(path);
  const found = statSync(target, { throwIfNoEntry: false });
  if (found?.size === content.length && found.isFile() && readFileSync(target).equals(content)) return;
  try {
    // Write a pipe or a device in place, and a file with several hard links too, so that every name shows the new
    // content.
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
  // Use the target's file system and a unique name.
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

/** A full disk that has no room for a second copy may still have room to overwrite the file. */
function mayWriteOver(error: unknown, content: Buffer, found: Stats | undefined): boolean {
  if (hasCode(error, 'ENOSPC', 'EDQUOT')) return found !== undefined && content.length <= found.size;
  return hasCode(error, 'EACCES', 'EPERM', 'EROFS', 'EBUSY', 'EXDEV');
}
