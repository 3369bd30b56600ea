import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Mutant, mutate, namePattern } from './mutant.ts';

/** `passed` and `failed` are about the named test alone. `missing`: no test of this name has run. */
export type TestVerdict = 'passed' | 'failed' | 'missing';

const root = join(import.meta.dirname, '../..');
const maxTestMs = 180_000;
const maxOutputBytes = 64 * 1024 * 1024;
const run = promisify(execFile);

/** A copy of the tracked files, so that a mutation never touches the working tree. */
export class ScratchCopy {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(): Promise<ScratchCopy> {
    const folder = await mkdtemp(join(tmpdir(), 'spotable-mutant-'));
    const { stdout } = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
      cwd: root,
      maxBuffer: maxOutputBytes,
    });
    for (const file of stdout.split('\0').filter(Boolean))
      await cp(join(root, file), join(folder, file), { preserveTimestamps: true }).catch(ignoreDeletedFile);
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    return new ScratchCopy(folder);
  }

  /** Runs the mutant's test on the mutated copy, then restores the file. */
  async testMutant(mutant: Mutant, signal: AbortSignal): Promise<TestVerdict> {
    const path = join(this.#folder, mutant.file);
    const source = await readFile(path, 'utf8');
    await writeFile(path, mutate(source, mutant));
    try {
      return await this.test(mutant.test, signal);
    } finally {
      await writeFile(path, source);
    }
  }

  async test({ file, name }: Mutant['test'], signal: AbortSignal): Promise<TestVerdict> {
    const pattern = `^${namePattern(name, '.*')}$`;
    const args = [
      '--test',
      '--test-reporter=tap',
      `--test-name-pattern=${pattern}`,
      `--test-timeout=${maxTestMs}`,
      file,
    ];
    // NODE_TEST_CONTEXT would make the child report to our own test runner in its binary form.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const options = { cwd: this.#folder, env, signal, maxBuffer: maxOutputBytes, timeout: 2 * maxTestMs };
    const { stdout } = await run(process.execPath, args, options).catch((error: { readonly stdout?: string }) => {
      signal.throwIfAborted();
      return { stdout: error.stdout ?? '' };
    });
    return verdictFrom(stdout, name);
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** A file that is deleted but not yet committed is still listed by git. */
function ignoreDeletedFile(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

/** Reads node:test's TAP output. A file that cannot be loaded at all fails each of its tests. */
export function verdictFrom(tap: string, name: string): TestVerdict {
  const pattern = new RegExp(`^${namePattern(name, '.*')}$`);
  const lines = tap.split('\n').map((line) => line.trim());
  const results = lines.filter((line) => /^(not )?ok \d+ - /.test(line) && !line.endsWith('# SKIP'));
  const own = results.filter((line) => pattern.test(line.replace(/^(not )?ok \d+ - /, '').replace(/ # .*$/, '')));
  if (own.some((line) => line.startsWith('not ok'))) return 'failed';
  if (own.length > 0) return 'passed';
  return results.some((line) => line.startsWith('not ok') && /\.ts$/.test(line)) ? 'failed' : 'missing';
}
