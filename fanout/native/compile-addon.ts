import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

export interface CompileAddonOptions {
  readonly outFile: string;
  readonly compiler?: string;
  readonly signal?: AbortSignal;
}

export type CompiledAddon = { readonly kind: 'compiled' } | { readonly kind: 'skipped'; readonly reason: string };

const source = join(import.meta.dirname, 'fanout.c');
const timeoutMs = 60_000;

const compileFlags = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC'];

/** The addon reads datagrams of anyone on the internet: make an overflow abort the process instead of running code. */
const hardeningFlags = [
  '-D_FORTIFY_SOURCE=2',
  '-fstack-protector-strong',
  '-fstack-clash-protection',
  '-Wformat=2',
  '-Wl,-z,relro,-z,now,-z,noexecstack',
  ...(process.arch === 'x64' ? ['-fcf-protection=full'] : []),
  ...(process.arch === 'arm64' ? ['-mbranch-protection=standard'] : []),
];

/** Header locations of Node's own archives and images, and of Linux distributions. */
const headerFolders = [
  join(dirname(process.execPath), '../include/node'),
  '/usr/include/node',
  '/usr/include/nodejs/src',
];

/**
 * Builds the native transport with the system's compiler. Skipped, with the reason, if a compiler or Node's headers are
 * missing: the proxy then serves over node:dgram. Rejects if compilation fails.
 */
export async function compileAddon({ outFile, compiler = 'cc', signal }: CompileAddonOptions): Promise<CompiledAddon> {
  const headers = headerFolders.find((folder) => existsSync(join(folder, 'node_api.h')));
  if (headers === undefined) return { kind: 'skipped', reason: `no Node headers in ${headerFolders.join(', ')}` };
  await mkdir(dirname(outFile), { recursive: true });
  // Renamed when complete, so that a program that starts meanwhile never loads half a file.
  const unfinished = `${outFile}.${process.pid}`;
  const flags = [...compileFlags, ...hardeningFlags, `-I${headers}`];
  try {
    await promisify(execFile)(compiler, [...flags, '-o', unfinished, source], { signal, timeout: timeoutMs });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { kind: 'skipped', reason: `no ${compiler}` };
    throw new Error(`Cannot compile ${source}`, { cause: error });
  }
  await rename(unfinished, outFile);
  return { kind: 'compiled' };
}
