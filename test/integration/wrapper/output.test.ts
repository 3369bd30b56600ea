import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  eventually,
  fixture,
  isAlive,
  isAliveAndNoZombie,
  temporaryFolder,
  WrapperProcess,
} from './wrapper-process.ts';

const parallel = { concurrency: 4 };

/** What the kernel counts as this process's own memory. */
function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

const lateSignal = join(import.meta.dirname, '../../fixtures/late-signal.cjs');
const { status } = spawnSync('script', ['--version']);
const noTerminal = status === 0 ? false : 'needs script, of util-linux';

function isZombieOf(entry: string, parent: number): boolean {
  try {
    const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith(`Z ${parent} `);
  } catch {
    return false;
  }
}

suite('The output of a game', parallel, () => {
  for (const [what, flags] of [
    ['as it is', ['--ready', 'delay:10ms']],
    ['past a wrapper that looks for a line in it', ['--ready', 'log:^70000 ']],
  ] as const)
    test(`comes through byte for byte ${what}`, async (t) => {
      const bytes = 6_000_000;
      const wrapper = new WrapperProcess(t, flags, fixture('flood.ts', String(bytes)), { stdout: 'unread' });
      const hash = createHash('sha256');
      let seen = 0;
      for await (const chunk of wrapper.child.stdout as AsyncIterable<Buffer>) {
        hash.update(chunk);
        seen += chunk.length;
      }
      assert.equal(await wrapper.status(), 0);
      let expected = '';
      for (let line = 0; expected.length < bytes; line++) expected += `${line} ${'x'.repeat((line + 1) % 97)}\n`;
      assert.equal(seen, expected.length);
      assert.equal(hash.digest('hex'), createHash('sha256').update(expected).digest('hex'));
    });

  test('that nobody reads stops the game and not the wrapper, which does not grow and ends it in time', async (t) => {
    const flags = ['--ready', 'log:^70000 ', '--grace-period', '1500ms', '--stop', 'signal:SIGWINCH'];
    const wrapper = new WrapperProcess(t, flags, fixture('flood.ts'), { stdout: 'unread' });
    await wrapper.said('Game started');
    const early = residentMiB(wrapper.pid);
    const steady = { at: 0, times: 0 };
    await eventually('the flood has come to a standstill', () => {
      const now = Math.round(residentMiB(wrapper.pid));
      steady.times = now === steady.at ? steady.times + 1 : 0;
      steady.at = now;
      return steady.times >= 10;
    });
    assert.ok(steady.at - early < 48, `grew by ${steady.at - early} MiB`);
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 137);
  });
});

suite('The output of a game past a wrapper that looks for a line in it', parallel, () => {
  test('comes through to the end though its reader takes its time after the game has gone', async (t) => {
    const bytes = 600_000;
    const game = ['head', '-c', String(bytes), '/dev/zero'];
    const wrapper = new WrapperProcess(t, ['--ready', 'log:none'], game, { stdout: 'unread' });
    await wrapper.said('Game started');
    let seen = 0;
    for await (const chunk of wrapper.child.stdout as AsyncIterable<Buffer>) {
      seen += chunk.length;
      await sleep(chunk.length / 400);
    }
    assert.equal(seen, bytes);
  });

  test('ends no game where the disk is full', async (t) => {
    const script = 'for i in 1 2 3 4 5 6; do echo hi; sleep 0.1; done; exit 4';
    const before = ['sh', '-c', 'exec "$@" >/dev/full', 'sh'];
    const wrapper = new WrapperProcess(t, ['--ready', 'log:none'], ['sh', '-c', script], { before });
    assert.equal(await wrapper.status(), 4);
    assert.match(String((await wrapper.said('Game output lost'))['err']), /ENOSPC/);
  });

  test('delays no end where it is a terminal that nobody reads', { skip: noTerminal }, async (t) => {
    const pidFile = `${temporaryFolder(t)}/pid`;
    const before = ['bash', '-c', 'exec script --quiet --command "$(printf "%q " "$@")" /dev/null', 'bash'];
    const game = ['sh', '-c', 'echo "$PPID" > "$0"; while :; do echo "a line that nobody reads"; done', pidFile];
    const wrapper = new WrapperProcess(t, ['--ready', 'log:none', '--grace-period', '1s'], game, {
      before,
      stdout: 'unread',
    });
    const pid = await eventually('it runs', () => existsSync(pidFile) && Number(readFileSync(pidFile, 'utf8')));
    t.after(() => isAlive(pid) && process.kill(pid, 'SIGKILL'));
    // Until every buffer on the way is full.
    await sleep(1000);
    process.kill(pid, 'SIGTERM');
    await eventually('it has ended', () => !isAliveAndNoZombie(pid));
    wrapper.child.stdout?.resume();
    await wrapper.ended;
  });
});

suite('A game that is watched', parallel, () => {
  const quick = ['--port', 'SERVER_PORT=udp', '--liveness', '150ms'];

  test('and loses its port is told of as not ready', async (t) => {
    const wrapper = new WrapperProcess(t, quick, fixture('udp-game.ts', '--unbind-when-ready'));
    await wrapper.said('Game ready');
    const line = await wrapper.said('Game unhealthy');
    assert.match(String(line['problem']), /SERVER_PORT \(udp \d+\) is not bound/);
    assert.ok(!wrapper.hasSaid('Game told'));
  });

  test('is ended for that where it is wanted', async (t) => {
    const wrapper = new WrapperProcess(
      t,
      [...quick, '--unhealthy', 'end'],
      fixture('udp-game.ts', '--unbind-when-ready'),
    );
    assert.equal(await wrapper.status(), 3);
    assert.equal((await wrapper.said('Interruption learned'))['kind'], 'unhealthy');
  });

  test('starts again as a new game server in the same process where that is wanted', async (t) => {
    const wrapper = new WrapperProcess(
      t,
      [...quick, '--unhealthy', 'restart'],
      fixture('udp-game.ts', '--unbind-when-ready', '--unless-there', `${temporaryFolder(t)}/once`),
    );
    const second = await wrapper.said(
      'Game ready',
      ({ gameServerId }) => gameServerId !== wrapper.log[0]?.gameServerId,
    );
    const ended = wrapper.log.filter(({ msg }) => msg === 'Game server ended');
    assert.deepEqual(
      ended.map(({ gameServerId }) => gameServerId !== second.gameServerId),
      [true],
    );
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 3);
  });

  test('leaves no child behind that nobody reaps when it starts again', async (t) => {
    const flags = [...quick, '--unhealthy', 'restart', '--warn', 'exec:sleep 50'];
    const wrapper = new WrapperProcess(t, flags, fixture('udp-game.ts', '--unbind-when-ready'));
    for (const starts of [2, 3, 4])
      await eventually(`start ${starts}`, () => wrapper.log.filter(({ msg }) => msg === 'Game ready').length >= starts);
    const zombies = readdirSync('/proc').filter((entry) => isZombieOf(entry, wrapper.pid));
    assert.deepEqual(zombies, []);
  });

  test('does not start again where somebody wants it to end in the last moment', async (t) => {
    const flags = [...quick, '--unhealthy', 'restart'];
    const env = { NODE_OPTIONS: `--require ${lateSignal}` };
    const wrapper = new WrapperProcess(t, flags, fixture('udp-game.ts', '--unbind-when-ready'), { env });
    assert.equal(await wrapper.status(), 3);
    assert.equal(wrapper.log.filter(({ msg }) => msg === 'Game ready').length, 1);
  });

  test('is not ready while somebody else has its port', async (t) => {
    const folder = temporaryFolder(t);
    const script = 'echo "$SERVER_PORT" > "$0/port"; while [ ! -e "$0/taken" ]; do sleep 0.05; done; sleep 1000';
    const wrapper = new WrapperProcess(
      t,
      ['--port', 'SERVER_PORT=tcp', '--ready-timeout', '1s'],
      ['sh', '-c', script, folder],
    );
    const port = await eventually(
      'the port is known',
      () => existsSync(`${folder}/port`) && Number(readFileSync(`${folder}/port`, 'utf8')),
    );
    const stranger = createServer().listen(port, '127.0.0.1');
    t.after(() => stranger.close());
    await once(stranger, 'listening');
    writeFileSync(`${folder}/taken`, '');
    assert.equal(await wrapper.status(), 143);
    assert.ok(!wrapper.hasSaid('Game ready'));
    assert.equal((await wrapper.said('Interruption learned'))['kind'], 'not-ready');
  });

  const rules: [string, string[], string[]][] = [
    [
      'TCP',
      ['--port', 'SERVER_PORT=tcp', '--ready', 'tcp'],
      fixture('udp-game.ts', '--protocol', 'tcp', '--bind-after', '300'),
    ],
    [
      'a bound TCP port',
      ['--port', 'SERVER_PORT=tcp', '--ready', 'bound:SERVER_PORT'],
      fixture('udp-game.ts', '--protocol', 'tcp'),
    ],
    [
      'TCP on one address',
      ['--port', 'SERVER_PORT=tcp', '--ready', 'tcp'],
      [process.execPath, '-e', 'require("net").createServer().listen(process.env.SERVER_PORT, "127.0.0.2")'],
    ],
    ['a line', ['--ready', 'log:^bound [0-9]+$'], fixture('udp-game.ts', '--bind-after', '300')],
    ['time', ['--ready', 'delay:200ms'], ['sleep', '1000']],
  ];
  for (const [what, flags, game] of rules)
    test(`is ready by ${what}`, async (t) => {
      const wrapper = new WrapperProcess(t, flags, game);
      await wrapper.said('Game ready');
    });

  test('is not ready by a file that cannot be looked at, and ended when its time is over', async (t) => {
    const loop = `${temporaryFolder(t)}/loop`;
    symlinkSync(loop, loop);
    const wrapper = new WrapperProcess(t, ['--ready', `file:${loop}`, '--ready-timeout', '500ms'], ['sleep', '1000']);
    assert.equal(await wrapper.status(), 143);
    assert.match(String((await wrapper.said('Game not ready in time'))['missing']), /ELOOP/);
  });

  test('is ready by a file that it writes, and not by one of an earlier run', async (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(`${folder}/ready`, 'old');
    const script = 'while [ ! -e "$0/go" ]; do sleep 0.02; done; echo new > "$0/ready"; sleep 1000';
    const wrapper = new WrapperProcess(t, ['--ready', `file:${folder}/ready`], ['sh', '-c', script, folder]);
    await wrapper.said('Game started');
    assert.ok(!wrapper.hasSaid('Game ready'));
    writeFileSync(`${folder}/go`, '');
    await wrapper.said('Game ready');
  });
});
