import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

export interface CompileAddonOptions {
  /** Where the finished file goes. */
  readonly outFile: string;
  readonly compiler?: string;
  readonly signal?: AbortSignal;
}

export type CompiledAddon = { readonly kind: 'compiled' } | { readonly kind: 'skipped'; readonly reason: string };

const source = join(import.meta.dirname, 'fanout.c');
const timeoutMs = 60_000;

/** Where Node's own archives and images, and distributions, put its headers. */
const headerFolders = [
  join(dirname(process.execPath), '../include/node'),
  '/usr/include/node',
  '/usr/include/nodejs/src',
];

/**
 * Builds the fast path with the system's compiler. Skipped, with the reason, where there is no compiler or no headers of Node:
 * the proxy then serves over node:dgram. Rejects where the compiler refuses the source.
 */
export async function compileAddon({ outFile, compiler = 'cc', signal }: CompileAddonOptions): Promise<CompiledAddon> {
  const headers = headerFolders.find((folder) => existsSync(join(folder, 'node_api.h')));
  if (headers === undefined) return { kind: 'skipped', reason: `no headers of Node in ${headerFolders.join(', ')}` };
  await mkdir(dirname(outFile), { recursive: true });
  // Moved into place when it is whole: a program that starts meanwhile loads the old one or none.
  const unfinished = `${outFile}.${process.pid}`;
  const flags = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', `-I${headers}`];
  try {
    await promisify(execFile)(compiler, [...flags, '-o', unfinished, source], { signal, timeout: timeoutMs });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { kind: 'skipped', reason: `no ${compiler}` };
    throw new Error(`Cannot compile ${source}`, { cause: error });
  }
  await rename(unfinished, outFile);
  return { kind: 'compiled' };
}
