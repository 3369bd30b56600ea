import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

// npm test                  all unit tests, then all integration and end-to-end tests
// npm test -- FILE...       these files only; flags of `node --test` are passed on, such as --test-name-pattern=TEXT

const root = join(import.meta.dirname, '..');
const compileCache = join(root, 'node_modules/.cache/compile');

interface Suite {
  readonly files: readonly string[];
  readonly timeoutMs: number;
}

const unit: Suite = { files: ['test/unit/**/*.test.ts'], timeoutMs: 60_000 };
const integration: Suite = { files: ['test/integration/**/*.test.ts', 'test/e2e/**/*.test.ts'], timeoutMs: 120_000 };

/** Resolves with the exit status of the test runner. */
async function run({ files, timeoutMs }: Suite): Promise<number> {
  const flags = ['--test', '--test-concurrency=4', `--test-timeout=${timeoutMs}`];
  const env = { ...process.env, NODE_COMPILE_CACHE: compileCache };
  const runner = spawn(process.execPath, [...flags, ...files], { cwd: root, env, stdio: 'inherit' });
  const forward = (signal: NodeJS.Signals) => runner.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, forward);
  const [status] = (await once(runner, 'exit')) as [number | null];
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, forward);
  return status ?? 1;
}

const given = process.argv.slice(2);
// Behind a file, a flag would be the test's own argument.
const flagsFirst = given.toSorted((one, other) => Number(other.startsWith('-')) - Number(one.startsWith('-')));
const suites = given.length > 0 ? [{ files: flagsFirst, timeoutMs: 300_000 }] : [unit, integration];
for (const suite of suites) {
  process.exitCode = await run(suite);
  if (process.exitCode !== 0) break;
}
