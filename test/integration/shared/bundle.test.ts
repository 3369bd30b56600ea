import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { type BundledFile, bundle, type ProgramName, programs } from '../../../build/bundle.ts';
import packageFile from '../../../package.json' with { type: 'json' };
import { startQueueService } from '../../../sandbox/sqs/queue-service.ts';
import { keepCode } from '../../../shared/v8/keep-code.ts';
import { moduleScript } from '../../../shared/v8/module-script.ts';

const names = Object.keys(programs) as ProgramName[];
const bundles = new Map<ProgramName, readonly BundledFile[]>();
let folder = '';
let elsewhere = '';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spotable-bundle-'));
  elsewhere = await mkdtemp(join(tmpdir(), 'spotable-elsewhere-'));
  for (const name of names) bundles.set(name, await bundle(name, folder));
});

after(async () => {
  await rm(folder, { recursive: true, force: true });
  await rm(elsewhere, { recursive: true, force: true });
});

interface Ended {
  readonly status: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command from an empty folder, with nothing of ours in its environment, for at most 30 s. */
function run(command: string, args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const path = `${dirname(process.execPath)}:/usr/bin:/bin`;
  return new Promise((resolve) => {
    const options = { cwd: elsewhere, env: { PATH: path, ...env }, timeout: 30_000 };
    execFile(command, args, options, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

for (const name of names) {
  test(`the bundle of ${name} answers --help and --version from an empty folder, with Node alone`, async () => {
    const help = await run(process.execPath, [join(folder, `${name}.cjs`), '--help']);
    assert.deepEqual([help.status, help.stderr], [0, '']);
    assert.match(help.stdout, new RegExp(`^Usage: spotable-${name} `));
    const version = await run(process.execPath, [join(folder, `${name}.cjs`), '--version']);
    assert.deepEqual(version, { status: 0, stdout: `spotable-${name} ${packageFile.version}\n`, stderr: '' });
  });

  test(`the bundle of ${name} is a program of its own`, async () => {
    const { status, stdout } = await run(join(folder, `${name}.cjs`), ['--version']);
    assert.deepEqual([status, stdout], [0, `spotable-${name} ${packageFile.version}\n`]);
  });

  test(`the bundle of ${name} ends with 64 and a clear line for a wrong flag`, async () => {
    const { status, stderr } = await run(process.execPath, [join(folder, `${name}.cjs`), '--explode']);
    assert.equal(status, 64);
    assert.match(stderr, new RegExp(`^spotable-${name}: Unknown flag "--explode"`));
  });

  test(`every part of ${name} can be loaded from its file, without its package`, async () => {
    const parts =
      bundles
        .get(name)
        ?.slice(1)
        .filter(({ file }) => !file.includes('-program.')) ?? [];
    for (const { file } of parts) {
      const script = `process.stdout.write(Object.keys(require(${JSON.stringify(join(folder, file))})).join())`;
      const { status, stdout, stderr } = await run(process.execPath, ['-e', script]);
      assert.deepEqual([status, stderr], [0, ''], file);
      assert.notEqual(stdout, '', file);
    }
  });
}

test('what is paid once a game server or only in need is a file of its own', () => {
  const files = (name: ProgramName): string[] => (bundles.get(name) ?? []).map(({ file }) => file);
  const modules = (name: ProgramName): readonly string[] =>
    (bundles.get(name) ?? [])
      .filter(({ file }) => file === `${name}-program.cjs` || file === `${name}.cjs`)
      .flatMap((bundled) => bundled.modules);
  assert.ok(files('wrapper').includes('wrapper-sqs.cjs'));
  assert.deepEqual(
    modules('wrapper').filter((module) => module.includes('node_modules')),
    [],
  );
  assert.ok(files('agent').includes('agent-ec2.cjs'));
  assert.ok(files('agent').includes('agent-auto-scaling.cjs'));
  assert.ok(!modules('agent').some((module) => /client-(ec2|auto-scaling)/.test(module)));
});

test('the bytecode that is kept of the wrapper is taken, and one that does not fit changes nothing', async () => {
  const program = join(folder, 'wrapper-program.cjs');
  const code = await readFile(join(folder, 'wrapper-program.code'));
  assert.equal(moduleScript(program, code).cachedDataRejected, false);
  await copyFile(program, join(elsewhere, 'wrapper-program.cjs'));
  await copyFile(join(folder, 'wrapper.cjs'), join(elsewhere, 'wrapper.cjs'));
  const flags = ['--link=none', '--metadata-endpoint=none', '--', 'sh', '-c', 'exit 3'];
  for (const kept of [undefined, 'garbage', code.subarray(0, code.length / 2)]) {
    if (kept !== undefined) await writeFile(join(elsewhere, 'wrapper-program.code'), kept);
    const { status, stderr } = await run(process.execPath, [join(elsewhere, 'wrapper.cjs'), ...flags]);
    assert.equal(status, 3, stderr);
  }
});

test('two builds keep the same bytecode', async () => {
  const second = join(elsewhere, 'second.code');
  await keepCode(join(folder, 'wrapper-program.cjs'), second);
  assert.ok((await readFile(second)).equals(await readFile(join(folder, 'wrapper-program.code'))));
});

test('the bundled wrapper runs a game and loads the SDK from the file beside it to tell the queue', async (t) => {
  const service = await startQueueService({ queues: [{ name: 'events' }] });
  t.after(() => service.close());
  const flags = ['--link=none', '--metadata-endpoint=none', `--queue-url=${service.queueUrl('events')}`];
  const { status, stderr } = await run(
    process.execPath,
    [join(folder, 'wrapper.cjs'), ...flags, '--', 'sh', '-c', 'exit 3'],
    { AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x', AWS_REGION: 'us-east-1' },
  );
  assert.equal(status, 3, stderr);
  const states = (await service.messages('events')).map(({ attributes }) => attributes['status']);
  assert.equal(states.at(-1), 'terminated', stderr);
});
