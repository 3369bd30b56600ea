import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { processesWith, runDemoProcess } from './demo-process.ts';

const moments: ReadonlyArray<readonly [string, string]> = [
  ['while the first node starts', 'Starting node-a'],
  ['while the games run', 'Inventory before'],
  ['while games are being told', 'has seen the notice'],
];

for (const [moment, interruptAt] of moments)
  test(`Ctrl-C ${moment} leaves no process, no socket and no file behind`, async (context) => {
    const temporaryDirectory = await mkdtemp(join(tmpdir(), 'spotable-test-'));
    context.after(() => rm(temporaryDirectory, { recursive: true }));
    const run = await runDemoProcess(['--game-servers', '2'], { interruptAt, temporaryDirectory });
    assert.equal(run.status, 130, run.stderr);
    const link = `@spotable-demo-${run.pid}-`;
    assert.deepEqual(processesWith(link), []);
    assert.equal((await readFile('/proc/net/unix', 'utf8')).includes(link), false);
    assert.deepEqual(await readdir(temporaryDirectory), []);
  });

test('a wrong flag is one clear line and exit 64', async () => {
  const run = await runDemoProcess(['--notice', 'soon', '--game', 'x "y']);
  assert.equal(run.status, 64);
  assert.deepEqual(run.stderr.trimEnd().split('\n'), [
    'spotable-demo: Invalid --notice "soon": expected a duration such as 500ms, 5s or 2m',
    'spotable-demo: Invalid --game "x \\"y": expected a command line with its quotes closed',
  ]);
});
