import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { compileAddon } from '../../fanout/native/compile-addon.ts';

export interface Programs {
  readonly pin: string;
  readonly sink: string;
  readonly players: string;
  readonly ceiling: string;
  readonly flood: string;
  /** The native addon's file; undefined: it could not be built, for `addonReason`. */
  readonly addon: string | undefined;
  readonly addonReason: string;
  remove(): Promise<void>;
}

const names = ['pin', 'sink', 'players', 'ceiling', 'flood'] as const;

/** Compiles this folder's C programs and the addon into a temporary folder, or returns the reason why it cannot. */
export async function compilePrograms(): Promise<Programs | { readonly reason: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-fanout-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    for (const name of names)
      await promisify(execFile)('cc', [
        '-std=gnu11',
        '-O2',
        '-o',
        join(folder, name),
        join(import.meta.dirname, `${name}.c`),
      ]);
  } catch (error) {
    await remove();
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { reason: 'no C compiler (cc)' };
    throw new Error('Cannot compile the benchmark', { cause: error });
  }
  const addon = join(folder, 'fanout.node');
  const compiled = await compileAddon({ outFile: addon });
  const [pin, sink, players, ceiling, flood] = names.map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
    string,
  ];
  const isCompiled = compiled.kind === 'compiled';
  return {
    pin,
    sink,
    players,
    ceiling,
    flood,
    remove,
    addon: isCompiled ? addon : undefined,
    addonReason: isCompiled ? '' : compiled.reason,
  };
}
