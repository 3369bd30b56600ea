import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { chmodSync, copyFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FakeAgent } from './fake-agent.ts';
import { type Afterwards, eventually, fixture, temporaryFolder, WrapperProcess } from './wrapper-process.ts';

const parallel = { concurrency: 3 };
const udp = ['--port', 'SERVER_PORT=udp'];

suite('A game is ready', parallel, () => {
  test('when it says so, whatever colours it says it in', async (t) => {
    const script = 'printf "[\\033[32mINFO\\033[0m]: Server \\033[1mstarted\\033[0m\\n"; sleep 1000';
    const wrapper = new WrapperProcess(t, ['--ready', 'log:^.INFO.: Server started$'], ['sh', '-c', script]);
    await wrapper.said('Game ready');
  });

  test('by its log only as long as it keeps the port that it had', async (t) => {
    const agent = await FakeAgent.listen(t);
    const flags = [...udp, '--ready', 'log:^bound', '--liveness', '200ms', '--link', agent.path];
    const wrapper = new WrapperProcess(t, flags, fixture('udp-game.ts', '--unbind-when-ready'));
    const unhealthy = await wrapper.said('Game unhealthy');
    assert.match(String(unhealthy['problem']), /^SERVER_PORT \(udp \d+\) is not bound$/);
    await eventually('nobody is sent to it any more', () => agent.names().includes('starting'));
  });

  test('by its log without a port of ours, for as long as it lives', async (t) => {
    const flags = [...udp, '--ready', 'log:^up', '--liveness', '100ms'];
    const wrapper = new WrapperProcess(t, flags, ['sh', '-c', 'echo up; sleep 2']);
    assert.equal(await wrapper.status(), 0);
    assert.ok(wrapper.hasSaid('Game ready') && !wrapper.hasSaid('Game unhealthy'));
  });
});

suite('A game that listens on loopback only gets one warning', parallel, () => {
  const script = (host: string) =>
    `require('node:dgram').createSocket('udp4').bind(process.env.SERVER_PORT, '${host}'); setInterval(() => {}, 1000)`;
  const warning = 'Game listens on loopback only: no player can reach it';

  for (const [what, host, flags, count] of [
    ['under an address for others', '127.0.0.1', ['--advertise', '192.0.2.1'], 1],
    ['not where it is advertised there', '127.0.0.1', ['--advertise', '127.0.0.1'], 0],
    ['not where it listens on more', '0.0.0.0', ['--advertise', '192.0.2.1'], 0],
  ] as const)
    test(what, async (t) => {
      const wrapper = new WrapperProcess(t, [...udp, ...flags], [process.execPath, '-e', script(host)]);
      await wrapper.said('Game ready');
      wrapper.signal('SIGTERM');
      await wrapper.status();
      assert.equal(wrapper.log.filter(({ msg }) => msg === warning).length, count);
    });
});

/**
 * A game that its wrapper may not look into, as where an image starts as root and drops to a user of its own. Root
 * needs a capability for it that Docker does not give; for other users a program does that they may run and not read.
 */
function hiddenGame(t: Afterwards, ...args: string[]): { readonly before: string[]; readonly game: string[] } {
  const [node = '', ...script] = fixture('udp-game.ts', ...args);
  if (process.getuid?.() === 0)
    return {
      before: ['setpriv', '--bounding-set', '-sys_ptrace', '--inh-caps', '-sys_ptrace'],
      game: ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', node, ...script],
    };
  const copy = `${temporaryFolder(t)}/game`;
  copyFileSync(node, copy);
  chmodSync(copy, 0o111);
  return { before: [], game: [copy, ...script] };
}

const noSetpriv =
  process.getuid?.() === 0 && spawnSync('setpriv', ['--version']).status !== 0 && 'needs setpriv (util-linux)';
const isElsewhere = !isWorldReadable() && 'needs a project folder that every user may read';

function isWorldReadable(): boolean {
  if (process.getuid?.() !== 0) return true;
  const file = fileURLToPath(new URL('../../fixtures/games/udp-game.ts', import.meta.url));
  return spawnSync('setpriv', ['--reuid', '65534', '--clear-groups', 'cat', file]).status === 0;
}

suite('A game that its wrapper may not look into', { ...parallel, skip: noSetpriv || isElsewhere }, () => {
  test('is ready when its port is bound, because the lease says whose it is', async (t) => {
    const { before, game } = hiddenGame(t);
    const wrapper = new WrapperProcess(t, [...udp, '--ready-timeout', '20s'], game, { before });
    await wrapper.said('Game ready');
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 3);
    assert.ok(wrapper.output.includes('saved'));
  });

  test('is told and waited for behind its launcher too', async (t) => {
    const { before, game } = hiddenGame(t, '--save-ms', '500');
    const words = game.map((word) => `'${word}'`).join(' ');
    const wrapper = new WrapperProcess(t, udp, ['sh', '-c', `${words} & wait`], { before });
    await wrapper.said('Game ready');
    wrapper.signal('SIGTERM');
    await wrapper.status();
    assert.deepEqual(wrapper.output.slice(-1), ['saved']);
    assert.equal(wrapper.output.filter((line) => line.startsWith('told')).length, 1);
  });
});

test('A port that another program has is not the game of a wrapper that may look', async (t) => {
  const wrapper = new WrapperProcess(t, [...udp, '--ready-timeout', '2s'], ['sleep', '1000']);
  const { SERVER_PORT } = (await wrapper.said('Ports leased'))['ports'] as Record<string, number>;
  const stranger = createSocket('udp4');
  t.after(() => stranger.close());
  stranger.bind(SERVER_PORT);
  const { missing } = await wrapper.said('Game not ready in time');
  assert.match(String(missing), /^SERVER_PORT \(udp \d+\) is bound by another program$/);
});
