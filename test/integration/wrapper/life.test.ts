import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import {
  eventually,
  fixture,
  isAlive,
  isAliveAndNoZombie,
  temporaryFolder,
  WrapperProcess,
} from './wrapper-process.ts';

const parallel = { concurrency: 4 };

const setClock = join(import.meta.dirname, '../../fixtures/set-clock.cjs');

suite('A game in a wrapper', parallel, () => {
  test('is ready when it is bound, is told with the deadline at SIGTERM, saves, and gives the wrapper its status', async (t) => {
    const wrapper = new WrapperProcess(t, [], fixture('udp-game.ts', '--bind-after', '200', '--save-ms', '100'));
    await wrapper.said('Game ready');
    assert.ok(
      wrapper.output.some((line) => line.startsWith('bound ')),
      'ready before it was bound',
    );
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 3);
    const learned = await wrapper.said('Interruption learned');
    assert.ok(wrapper.output.includes(`told ${learned['endBy']}`), wrapper.output.join());
    assert.equal(wrapper.output.at(-1), 'saved');
    assert.deepEqual(
      wrapper.log.map(({ msg }) => msg).filter((msg) => /^Game|^Ports|learned/.test(msg)),
      [
        'Ports leased',
        'Game started',
        'Game ready',
        'Interruption learned',
        'Game told',
        'Game ended',
        'Game server ended',
      ],
    );
  });

  test('finds its ports, its facts and nothing of the image in its environment, and its placeholders filled in', async (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'in.cfg'), 'port {GAME} of {UNKNOWN} at {SPOTABLE_ADDRESS}\n');
    writeFileSync(join(folder, 'server.properties'), '# mine\nserver-port=1\nmotd=hi\n');
    const flags = [
      ...['--port', 'GAME=udp', '--port', 'QUERY=udp+tcp', '--advertise', 'play.example.org'],
      ...[
        '--template',
        `${folder}/in.cfg:${folder}/out.cfg`,
        '--property',
        `${folder}/server.properties:server-port={GAME}`,
      ],
    ];
    const script =
      'echo "$GAME $QUERY $SPOTABLE_ADDRESS $SPOTABLE_GAME_SERVER_ID [$MALLOC_TOP_PAD_$NODE_COMPILE_CACHE] $1"; cat "$SPOTABLE_STATE_FILE"';
    const env = { POD_NAME: 'arena-7', MALLOC_TOP_PAD_: '0', NODE_COMPILE_CACHE: '/x' };
    const wrapper = new WrapperProcess(t, flags, ['sh', '-c', script, 'game', '+port={GAME}'], { env });
    assert.equal(await wrapper.status(), 0);
    const { GAME, QUERY } = (await wrapper.said('Ports leased'))['ports'] as Record<string, number>;
    const [line = '', state = ''] = await eventually(
      'all is printed',
      () => wrapper.output.length >= 2 && wrapper.output,
    );
    assert.match(
      line,
      new RegExp(`^${GAME} ${QUERY} play\\.example\\.org arena-7\\.[a-z0-9]{6} \\[\\] \\+port=${GAME}$`),
    );
    const { state: status, address, link } = JSON.parse(state) as Record<string, unknown>;
    assert.deepEqual([status, address, link], ['starting', 'play.example.org', 'none']);
    assert.equal(readFileSync(join(folder, 'out.cfg'), 'utf8'), `port ${GAME} of {UNKNOWN} at play.example.org\n`);
    assert.equal(readFileSync(join(folder, 'server.properties'), 'utf8'), `# mine\nserver-port=${GAME}\nmotd=hi\n`);
  });

  test('has the limit on open files that its wrapper was given, though Node raises its own', async (t) => {
    // A shell that waits for us, as tini does.
    const before = ['sh', '-c', 'ulimit -Sn 700; "$@"; exit $?', 'sh'];
    const [env, argv0] = [
      { GREETING: 'a b' },
      ['sh', '-c', 'echo "$(ulimit -Sn) $GREETING $1"; exit 7', 'game', 'c  d'],
    ];
    const wrapper = new WrapperProcess(t, [], argv0, { before, env });
    assert.equal(await wrapper.status(), 7);
    assert.deepEqual(wrapper.output, ['700 a b c  d']);
    const missing = new WrapperProcess(t, [], ['no-such-game'], { before });
    assert.equal(await missing.status(), 127);
    const line = await eventually('it says so', () => missing.plain.join() || undefined);
    assert.match(line, /^spotable-wrapper: Cannot start game no-such-game: not found/);
  });

  test('that exits 0 in the middle ends its game server with 0', async (t) => {
    const wrapper = new WrapperProcess(t, [], ['sh', '-c', 'sleep 0.1; exit 0']);
    assert.equal(await wrapper.status(), 0);
    assert.ok(!wrapper.hasSaid('Game ready'));
  });

  test('that ignores SIGTERM is killed at the last safe moment and not before', async (t) => {
    const wrapper = new WrapperProcess(
      t,
      ['--grace-period', '3s'],
      ['sh', '-c', 'trap "" TERM; echo up; while :; do sleep 0.1; done'],
    );
    await wrapper.printed(/up/);
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 137);
    const endByMs = Date.parse(String((await wrapper.said('Interruption learned'))['endBy']));
    const leftMs = endByMs - (await wrapper.said('Game killed')).time;
    // A busy machine may be late; nothing may be early.
    assert.ok(leftMs <= 600 && leftMs > -2000, `killed ${leftMs} ms before the end`);
  });

  test('behind a shell that forwards nothing is told all the same', async (t) => {
    const command = fixture('udp-game.ts')
      .map((word) => `'${word}'`)
      .join(' ');
    const wrapper = new WrapperProcess(t, [], ['sh', '-c', `${command}; echo over`]);
    await wrapper.said('Game ready');
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 143);
    assert.ok(wrapper.output.includes('saved'));
  });

  test('that its dead launcher leaves behind may save until the end', async (t) => {
    const command = fixture('udp-game.ts', '--save-ms', '700')
      .map((word) => `'${word}'`)
      .join(' ');
    const wrapper = new WrapperProcess(t, [], ['sh', '-c', `${command} & wait`]);
    await wrapper.said('Game ready');
    wrapper.signal('SIGTERM');
    await wrapper.status();
    assert.ok(wrapper.output.includes('saved'));
  });

  test('that forks into the background, away from group and session, is still the game', async (t) => {
    const command = fixture('udp-game.ts', '--bind-after', '300')
      .map((word) => `'${word}'`)
      .join(' ');
    const wrapper = new WrapperProcess(t, ['--grace-period', '20s'], ['sh', '-c', `setsid ${command} & exit 0`]);
    await wrapper.said('Game went into the background');
    await wrapper.said('Game ready');
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 0);
    assert.ok(wrapper.output.includes('saved'));
  });

  test('does not keep its game server alive by a helper that holds no port', async (t) => {
    const command = fixture('udp-game.ts', '--exit-code', '0')
      .map((word) => `'${word}'`)
      .join(' ');
    const script = `sleep 1000 & ${command} & game=$!; read -r _ < "$0"; kill $game; wait $game; exit 0`;
    const fifo = join(temporaryFolder(t), 'go');
    const wrapper = new WrapperProcess(t, [], ['sh', '-c', `mkfifo "$0"; ${script}`, fifo]);
    await wrapper.said('Game ready');
    writeFileSync(fifo, 'go\n');
    assert.equal(await wrapper.status(), 0);
  });

  test('that wants its orders on the console gets them there, in order', async (t) => {
    const flags = [
      '--ready',
      'log:^Done \\(',
      '--warn',
      'stdin:say down in {SECONDS_LEFT}',
      '--stop',
      'stdin:save-all',
      '--stop',
      'wait:50ms',
      '--stop',
      'stdin:stop',
    ];
    const wrapper = new WrapperProcess(t, flags, fixture('console-game.ts'));
    await wrapper.said('Game ready');
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 0);
    const heard = wrapper.output.filter((line) => line.startsWith('console: '));
    assert.match(heard[0] ?? '', /^console: say down in (29|30)$/);
    assert.deepEqual(heard.slice(1), ['console: save-all', 'console: stop']);
  });

  test('gets what is written to the wrapper on its own console', async (t) => {
    const flags = ['--ready', 'log:^Done', '--stop', 'stdin:stop'];
    const wrapper = new WrapperProcess(t, flags, fixture('console-game.ts'), { stdin: 'pipe' });
    await wrapper.said('Game ready');
    wrapper.child.stdin?.end('help\n');
    await wrapper.printed(/^console: help$/);
    wrapper.child.stdin?.on('error', () => {});
    assert.ok(isAlive((await wrapper.said('Game started'))['pid'] as number), 'the end of our input ended the game');
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 0);
  });

  test('plays on though the input of its wrapper cannot be read', async (t) => {
    // Open for writing alone.
    const before = ['sh', '-c', 'exec "$@" 0>"$0"', `${temporaryFolder(t)}/input`];
    const wrapper = new WrapperProcess(t, ['--stop', 'stdin:stop'], ['sh', '-c', 'sleep 0.5; exit 6'], { before });
    assert.equal(await wrapper.status(), 6);
  });

  test('is stopped by a command where that is wanted, and a command that fails does not stop the next one', async (t) => {
    const flags = ['--stop', 'exec:exit 5', '--stop', 'exec:kill -USR1 "$SPOTABLE_GAME_PID"'];
    const wrapper = new WrapperProcess(t, flags, [
      'sh',
      '-c',
      'trap "echo asked; exit 4" USR1; echo up; while :; do sleep 0.05; done',
    ]);
    await wrapper.printed(/up/);
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 4);
    assert.match(String((await wrapper.said('Action failed'))['err']), /exit status 5/);
  });

  test('with --stop-at plays on while its players are warned', async (t) => {
    const flags = ['--grace-period', '4s', '--stop-at', '2s', '--warn', 'exec:echo warned {DEADLINE}'];
    const wrapper = new WrapperProcess(t, flags, fixture('udp-game.ts'));
    await wrapper.said('Game ready');
    wrapper.signal('SIGTERM');
    await wrapper.printed(/^warned \d{4}-/);
    assert.equal(await wrapper.status(), 3);
    const learned = await wrapper.said('Interruption learned');
    const told = await wrapper.said('Game told', (line) => line['how'] === 'signal:SIGTERM');
    assert.ok(told.time - learned.time >= 1900, `told after ${told.time - learned.time} ms`);
  });

  test('is not waited for any more in its stop actions after a second SIGTERM', async (t) => {
    const flags = ['--grace-period', '1h', '--stop', 'wait:50m', '--stop', 'signal:SIGUSR1'];
    const script = 'trap "exit 4" USR1; echo up; while :; do sleep 0.05; done';
    const wrapper = new WrapperProcess(t, flags, ['sh', '-c', script]);
    await wrapper.printed(/up/);
    wrapper.signal('SIGTERM');
    await wrapper.said('Interruption learned');
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 4);
  });

  test('is killed in time where somebody sets the clock back meanwhile', async (t) => {
    const setBack = `${temporaryFolder(t)}/set-back`;
    const env = { NODE_OPTIONS: `--require ${setClock}`, CLOCK_SET_BACK: setBack };
    const script = 'trap "" TERM; echo up; while :; do sleep 0.1; done';
    const wrapper = new WrapperProcess(t, ['--grace-period', '2s'], ['sh', '-c', script], { env });
    await wrapper.printed(/up/);
    wrapper.signal('SIGTERM');
    await wrapper.said('Game told');
    writeFileSync(setBack, '');
    assert.equal(await wrapper.status(), 137);
  });

  test('is killed at the third SIGTERM of somebody who will not wait', async (t) => {
    const wrapper = new WrapperProcess(t, [], ['sh', '-c', 'trap "" TERM; echo up; while :; do sleep 0.1; done']);
    await wrapper.printed(/up/);
    wrapper.signal('SIGTERM');
    await wrapper.said('Game told');
    wrapper.signal('SIGTERM');
    await wrapper.said('Interruption learned');
    // Equal signals that wait at the same time are one: each must have been heard before the next.
    const killed = eventually('it is killed', () => {
      wrapper.signal('SIGTERM');
      return wrapper.hasSaid('Game killed');
    });
    await killed;
    assert.equal(await wrapper.status(), 137);
  });

  test('leaves no files behind', async (t) => {
    const folder = temporaryFolder(t);
    const wrapper = new WrapperProcess(t, ['--state-dir', folder], fixture('udp-game.ts'));
    await wrapper.said('Game ready');
    assert.equal(readdirSync(folder).length, 1);
    wrapper.signal('SIGTERM');
    await wrapper.status();
    assert.deepEqual(readdirSync(folder), []);
  });

  test('runs without its files where they cannot be written', async (t) => {
    const wrapper = new WrapperProcess(
      t,
      ['--state-dir', '/proc/none'],
      ['sh', '-c', 'echo "[$SPOTABLE_DEADLINE_FILE]"; exit 5'],
    );
    assert.equal(await wrapper.status(), 5);
    assert.deepEqual(wrapper.output, ['[]']);
    assert.ok(wrapper.hasSaid('Cannot create the deadline and state files'));
  });
});

suite('A wrapper that is killed', parallel, () => {
  test('takes its game with it, whatever a launcher has made of it', async (t) => {
    const command = fixture('udp-game.ts')
      .map((word) => `'${word}'`)
      .join(' ');
    const wrapper = new WrapperProcess(t, [], ['sh', '-c', `${command} & echo "pid $!"; wait`]);
    await wrapper.said('Game ready');
    const pids = [
      Number((await wrapper.printed(/^pid/)).slice(4)),
      (await wrapper.said('Game started'))['pid'] as number,
    ];
    assert.ok(pids.every(isAlive));
    wrapper.signal('SIGKILL');
    await eventually('the game is gone', () => !pids.some(isAliveAndNoZombie));
  });

  test('frees its ports at once', async (t) => {
    const flags = ['--port', 'GAME=udp', '--port-range', '29990-29990'];
    const first = new WrapperProcess(t, flags, ['sleep', '1000']);
    await first.said('Game started');
    const second = new WrapperProcess(t, flags, ['true']);
    assert.equal(await second.status(), 69);
    assert.match(
      second.plain[0] ?? '',
      /^spotable-wrapper: Cannot lease a port for GAME: all 1 ports of 29990-29990 are taken/,
    );
    first.signal('SIGKILL');
    await first.ended;
    const third = new WrapperProcess(t, flags, ['true']);
    assert.equal(await third.status(), 0);
  });
});

suite('A wrapper that cannot begin', parallel, () => {
  const wrong: [string, string[], string[], number, RegExp][] = [
    ['a game that is not there', [], ['no-such-game'], 127, /Cannot start game no-such-game: not found/],
    [
      'a game that is no program',
      [],
      [join(import.meta.dirname, 'life.test.ts')],
      126,
      /Cannot start game .*: not executable/,
    ],
    ['no game at all', [], [], 64, /Missing the game/],
    ['an empty path', ['--lease-dir='], ['true'], 64, /Invalid --lease-dir "": expected a path/],
    ['an unknown flag', ['--prot', 'A=udp'], ['true'], 64, /Unknown flag "--prot": see --help/],
    [
      'an unknown protocol',
      ['--port', 'A=sctp'],
      ['true'],
      64,
      /Invalid --port "A=sctp": expected NAME=udp, tcp or udp\+tcp/,
    ],
    [
      'a port that it may not have twice',
      ['--port', 'A=udp:99', '--port', 'B=udp:99'],
      ['true'],
      64,
      /A has that port already/,
    ],
    ['a template that is not there', ['--template', '/none/a:/none/b'], ['true'], 66, /Cannot read template \/none\/a/],
    ['a lease folder that is not there', ['--lease-dir', '/none'], ['true'], 73, /Cannot lease a port in \/none/],
  ];
  for (const [what, flags, game, status, line] of wrong)
    test(`because of ${what} says so in one line and exits with ${status}`, async (t) => {
      const wrapper = new WrapperProcess(t, flags, game);
      assert.equal(await wrapper.status(), status);
      assert.equal(wrapper.plain.length, 1, wrapper.plain.join('\n'));
      assert.match(wrapper.plain[0] ?? '', line);
      assert.match(wrapper.plain[0] ?? '', /^spotable-wrapper: /);
    });
});
