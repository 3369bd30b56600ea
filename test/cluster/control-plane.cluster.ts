import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { eventually } from '../integration/agent/scene/eventually.ts';
import { onCluster } from './support/test-cluster.ts';

const entry = new URL('../control-plane/main.ts', import.meta.url).pathname;

/** Runs `npm run control-plane` until it has printed its kubeconfig. */
async function start(): Promise<{ readonly child: ChildProcess; readonly kubeconfig: string }> {
  const child = spawn(process.execPath, [entry], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => child.kill('SIGKILL'));
  for await (const kubeconfig of createInterface(child.stdout)) return { child, kubeconfig };
  throw new Error('It ended before it was ready');
}

/** Command lines of all processes that mention the folder. */
async function processesOf(folder: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line.includes(folder));
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function leavesNothing(folder: string): Promise<void> {
  await eventually(
    () => `nothing is left of ${folder}`,
    async () => (await processesOf(folder)).length === 0 && !(await isThere(folder)),
  );
}

describe('npm run control-plane', { ...onCluster, concurrency: 1 }, () => {
  test('prints a kubeconfig, and leaves nothing after Ctrl-C', async () => {
    const { child, kubeconfig } = await start();
    const folder = dirname(kubeconfig);
    const config = JSON.parse(await readFile(kubeconfig, 'utf8')) as { clusters: { cluster: { server: string } }[] };
    assert.match(config.clusters[0]?.cluster.server ?? '', /^https:\/\/127\.0\.0\.1:\d+$/);
    // The four components, and the process that removes the folder.
    assert.equal((await processesOf(folder)).length, 5);
    child.kill('SIGINT');
    assert.deepEqual(await once(child, 'exit'), [0, null]);
    assert.equal(await isThere(folder), false);
    await leavesNothing(folder);
  });

  test('leaves nothing when it is killed', async () => {
    const { child, kubeconfig } = await start();
    child.kill('SIGKILL');
    await leavesNothing(dirname(kubeconfig));
  });
});
