import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { copyFileSync, existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { startMetadataService } from '../../sandbox/metadata/metadata-service.ts';
import { isoSeconds } from '../../sandbox/metadata/notices.ts';
import { startQueueService } from '../../sandbox/sqs/queue-service.ts';
import type { InventoryEvent } from '../../shared/events/event.ts';
import { ClusterScene } from '../integration/agent/scene/cluster-scene.ts';
import { Contained, until } from './contained.ts';

/** Where build/images/check.sh has unpacked the images and the roots without Node. */
function rootOf(name: 'AGENT' | 'WRAPPER' | 'DEBIAN' | 'OTHER'): string {
  return process.env[`${name}_ROOT`] ?? '';
}

const queueName = 'inventory.fifo';
const credentials = { AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x' };

function assertPowerless(contained: Contained): void {
  assert.ok(contained.statusFields('Uid').length > 0, contained.output);
  for (const uids of contained.statusFields('Uid')) assert.equal(uids, '1000\t1000\t1000\t1000');
  for (const field of ['CapEff', 'CapPrm', 'CapInh', 'CapAmb'])
    for (const capabilities of contained.statusFields(field)) assert.equal(Number.parseInt(capabilities, 16), 0, field);
  for (const flag of contained.statusFields('NoNewPrivs')) assert.equal(flag, '1');
}

/** A free UDP or TCP port of the loopback interface. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

for (const system of ['DEBIAN', 'OTHER'] as const) {
  const root = rootOf(system);
  const skip = root === '' && 'there is no such root';
  test(`the copied tree runs a real game through its life in a bare ${system} root`, { skip }, async (t) => {
    for (const place of ['bin', 'usr/bin', 'usr/local/bin']) assert.equal(existsSync(join(root, place, 'node')), false);
    const metadata = await startMetadataService();
    t.after(() => metadata.close());
    const queue = await startQueueService({ queues: [{ name: queueName }] });
    t.after(() => queue.close());
    const wrapper = [
      '/spotable/bin/tini',
      '--',
      '/spotable/bin/node',
      '/spotable/wrapper.cjs',
      '--port',
      'SERVER_PORT=udp',
    ];
    await using life = new Contained(
      root,
      [...wrapper, '--', '/usr/games/teeworlds-server', 'sv_port {SERVER_PORT}; sv_register 0'],
      {
        ...credentials,
        LINK: 'none',
        METADATA_ENDPOINT: metadata.url,
        QUEUE_URL: queue.queueUrl(queueName),
        AWS_ENDPOINT_URL_SQS: queue.endpoint,
      },
    );
    const states = async () =>
      (await queue.messages(queueName)).map(({ body }) => (JSON.parse(body) as InventoryEvent).data.status);
    await until(
      () => `ready: ${life.output}`,
      async () => (await states()).includes('ready'),
    );
    assertPowerless(life);
    metadata.announce('spot', { action: 'terminate', time: isoSeconds(Date.now() + 60_000) });
    // The game has no handler of its own for SIGTERM, and its status is the wrapper's.
    assert.equal(await life.exit(), 128 + constants.signals.SIGTERM, life.output);
    const told = (await states()).filter((state, at, all) => all.indexOf(state) === at);
    assert.deepEqual(told, ['starting', 'ready', 'terminating', 'terminated'], life.output);
  });
}

test('the image of the agent answers an interruption, and its reader reads what it told', {
  skip: rootOf('AGENT') === '',
}, async () => {
  await using scene = await ClusterScene.start();
  const pod = scene.addPod('arena', { stopMs: 100 });
  const env: Record<string, string> = { ...(await scene.environment()), LINK_TRUST: 'pod' };
  const config = env['KUBECONFIG'] ?? '';
  await using agent = new Contained(
    rootOf('AGENT'),
    ['/spotable/bin/node', '--max-semi-space-size=1', '/spotable/agent.cjs'],
    { ...env, KUBECONFIG: '/tmp/kubeconfig' },
    (scratch) => copyFileSync(config, join(scratch, 'kubeconfig')),
  );
  const says = (what: string) =>
    until(
      () => `${what}: ${agent.output}`,
      () => agent.output.includes(what),
    );
  await says('Link server listening');
  assertPowerless(agent);
  const wrapper = scene.addWrapper(pod);
  await wrapper.hears('welcome');
  scene.announceSpot(60_000);
  await wrapper.hears('interruption');
  await says('Node drained');
  await until(
    () => 'both node events',
    async () => (await scene.nodeStates()).length === 2,
  );
  agent.signal('SIGTERM');
  assert.equal(await agent.exit(), 0, agent.output);
  const flags = ['--once', '--json', '--state', ':memory:'];
  await using reader = new Contained(rootOf('AGENT'), ['/spotable/bin/node', '/spotable/inventory.cjs', ...flags], env);
  assert.equal(await reader.exit(), 0, reader.output);
});

describe('the image of the wrapper', { skip: rootOf('WRAPPER') === '' }, () => {
  test('is the fan-out proxy, on its native transport', async () => {
    const replica = createSocket('udp4');
    replica.on('message', (message, { port, address }) => replica.send(message, port, address));
    replica.bind(0, '127.0.0.1');
    await once(replica, 'listening');
    const player = createSocket('udp4');
    player.bind(0, '127.0.0.1');
    await once(player, 'listening');
    const port = await freePort();
    const flags = [
      '--listen',
      `127.0.0.1:${port}`,
      '--upstream',
      `127.0.0.1:${replica.address().port}`,
      '--transport',
      'native',
      '--operations',
      '127.0.0.1:0',
      '--drain',
      '0s',
    ];
    try {
      await using proxy = new Contained(rootOf('WRAPPER'), ['/spotable/bin/node', '/spotable/fanout.cjs', ...flags]);
      let answer = '';
      player.on('message', (message) => {
        answer = message.toString();
      });
      await until(
        () => `an answer through the proxy: ${proxy.output}`,
        () => {
          player.send('hello', port, '127.0.0.1');
          return answer === 'hello';
        },
      );
      assertPowerless(proxy);
      proxy.signal('SIGTERM');
      assert.equal(await proxy.exit(), 0, proxy.output);
    } finally {
      player.close();
      replica.close();
    }
  });

  test('copies its tree as an init container does, without a shell', async () => {
    const copy = "require('node:fs').cpSync('/spotable', '/tmp/volume', { recursive: true })";
    await using installer = new Contained(rootOf('WRAPPER'), ['/spotable/bin/node', '-e', copy]);
    assert.equal(await installer.exit(), 0, installer.output);
    for (const file of ['bin/node', 'bin/tini', 'wrapper.cjs', 'fanout.cjs'])
      assert.ok(existsSync(join(installer.scratch, 'volume', file)), file);
    assert.equal(existsSync(join(rootOf('WRAPPER'), 'bin/sh')), false);
  });

  test('cannot write to its root', async () => {
    const write = "require('node:fs').writeFileSync('/spotable/x', '')";
    await using writer = new Contained(rootOf('WRAPPER'), ['/spotable/bin/node', '-e', write]);
    assert.equal(await writer.exit(), 1);
    assert.match(writer.output, /EROFS/);
  });
});
