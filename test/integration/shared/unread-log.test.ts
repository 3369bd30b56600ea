import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compileCache } from '../../compile-cache.ts';
import { UnreadPipe } from '../../fixtures/unread-pipe.ts';
import { ClusterScene } from '../agent/scene/cluster-scene.ts';
import { eventually } from '../agent/scene/eventually.ts';
import { startEventQueue, testCredentials } from '../inventory/event-queue-fixture.ts';

/** On a machine that is busy with other tests. */
const maxStartMs = 60_000;

interface Started {
  readonly child: ChildProcess;
  readonly exit: Promise<number | NodeJS.Signals>;
}

/** A program whose stderr is the given descriptor. */
function start(
  t: TestContext,
  program: string,
  stderr: number,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Started {
  const main = fileURLToPath(new URL(`../../../${program}/main.ts`, import.meta.url));
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'ignore', stderr],
    env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...compileCache, ...env },
  });
  const exit = once(child, 'exit').then(([code, signal]) => code ?? signal);
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  t.after(async () => {
    kill();
    await exit;
    process.off('exit', kill);
  });
  return { child, exit };
}

/** Its exit status, or why it is missing: a process that hangs in a write never ends. */
function endOf({ exit }: Started, child: string): Promise<number | NodeJS.Signals> {
  const limit = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`${child} did not end within ${maxStartMs} ms`)), maxStartMs).unref();
  });
  return Promise.race([exit, limit]);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

const kinds = {
  'is full and that nobody reads': () => new UnreadPipe(),
  'is a full disk': () => {
    const fd = openSync('/dev/full', 'w');
    return { fd, [Symbol.dispose]: () => closeSync(fd) };
  },
} as const;

for (const [kind, openLog] of Object.entries(kinds))
  describe(`With a log that ${kind}`, { concurrency: 2 }, () => {
    test('the agent tells its wrappers, though the API server is away', async (t) => {
      await using scene = await ClusterScene.start();
      using log = openLog();
      await scene.api.close();
      const agent = start(t, 'agent', log.fd, [], { ...(await scene.environment()), SHUTDOWN_TIME: '0s' });
      const wrapper = scene.addWrapper({ namespace: 'arena', name: 'a', uid: 'uid-a' });
      await eventually('the link listens', () => wrapper.all('welcome').length > 0, maxStartMs);
      scene.announceSpot(60_000);
      await eventually('the wrapper is told', () => wrapper.all('interruption').length > 0, maxStartMs);
      agent.child.kill('SIGTERM');
      assert.equal(await endOf(agent, 'the agent'), 0);
    });

    test('the wrapper runs its game and ends with its status', async (t) => {
      using log = openLog();
      const args = ['--link', 'none', '--metadata-endpoint', 'none', '--', 'sh', '-c', 'exit 6'];
      assert.equal(await endOf(start(t, 'wrapper', log.fd, args), 'the wrapper'), 6);
    });

    test('the fan-out proxy serves', async (t) => {
      using log = openLog();
      const operations = `127.0.0.1:${await freePort()}`;
      const flags = ['--listen', '127.0.0.1:0', '--operations', operations, '--upstream', '127.0.0.1:1'];
      const fanout = start(t, 'fanout', log.fd, [...flags, '--transport', 'dgram']);
      const livez = () => fetch(`http://${operations}/livez`).catch(() => undefined);
      await eventually('the proxy is alive', async () => (await livez())?.status === 200, maxStartMs);
      fanout.child.kill('SIGTERM');
      assert.equal(await endOf(fanout, 'the fan-out proxy'), 0);
    });

    test('the inventory reader reads its queue', async (t) => {
      await using queue = await startEventQueue();
      using log = openLog();
      const args = ['--queue-url', queue.url, '--state', ':memory:', '--once', '--serve', '127.0.0.1:0'];
      const reader = start(t, 'inventory', log.fd, args, {
        ...testCredentials,
        AWS_ENDPOINT_URL_SQS: queue.service.endpoint,
      });
      assert.equal(await endOf(reader, 'the inventory reader'), 0);
    });
  });
