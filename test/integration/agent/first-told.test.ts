import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { linkPath } from '../../../shared/link/link-address.ts';
import { compileCache } from '../../compile-cache.ts';
import { UnreadPipe } from '../../fixtures/unread-pipe.ts';
import { FaultyNetwork } from '../../support/faulty-network.ts';
import { ClusterScene } from './scene/cluster-scene.ts';
import { eventually } from './scene/eventually.ts';

const entry = new URL('../../../agent/main.ts', import.meta.url).pathname;
const maxStartMs = 60_000;
const strangers = 1024;
/** 5 ms on a machine of one's own; here others test beside us. */
const maxFirstToldSeconds = 0.5;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

test('games are told at once though nobody reads the log, the API server is silent and strangers fill the link', async (t) => {
  const scene = await ClusterScene.start();
  const network = await FaultyNetwork.start(scene.api.port);
  using log = new UnreadPipe();
  const game = scene.addPod('game', { stopMs: 100 });
  const port = await freePort();
  const agent = spawn(process.execPath, [entry], {
    stdio: ['ignore', 'ignore', log.fd],
    env: {
      ...{ PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...compileCache },
      ...(await scene.environment()),
      KUBECONFIG: await scene.kubeconfig(undefined, `http://127.0.0.1:${network.port}`),
      METRICS_PORT: String(port),
    },
  });
  const company: Socket[] = [];
  t.after(async () => {
    for (const socket of company) socket.destroy();
    agent.kill('SIGKILL');
    await once(agent, 'exit');
    await scene[Symbol.asyncDispose]();
    await network[Symbol.asyncDispose]();
  });
  const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined);
  await eventually('the agent is ready', async () => (await get('/readyz'))?.status === 200, maxStartMs);
  const wrapper = scene.addWrapper({ ...game, token: await scene.token(game) });
  await wrapper.hears('welcome', ({ publishes }) => publishes);
  network.silence();
  while (company.length < strangers) {
    const socket = connect({ path: linkPath(scene.link) });
    socket.on('error', () => {}).resume();
    await once(socket, 'connect');
    socket.write(`{"type":"hello","version":1,"game_server_id":"s-${company.push(socket)}","pod_uid":"x"}\n`);
  }
  scene.announceSpot(60_000);
  await wrapper.hears('interruption');
  const text = await eventually('it is measured', async () => {
    const metrics = await (await get('/metrics'))?.text();
    return metrics !== undefined && /notice_to_first_told_seconds_count\{[^}]*\} 1$/m.test(metrics) && metrics;
  });
  const [, seconds] = /notice_to_first_told_seconds_sum\{[^}]*\} (\S+)$/m.exec(text) ?? [];
  t.diagnostic(`first told after ${Number(seconds) * 1000} ms`);
  assert.ok(Number(seconds) < maxFirstToldSeconds, `first told after ${seconds} s`);
  assert.equal(scene.isCordoned, false, 'the API server was to be silent');
});
