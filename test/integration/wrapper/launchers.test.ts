import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { suite, test } from 'node:test';
import { type Afterwards, fixture, isAliveAndNoZombie, temporaryFolder, WrapperProcess } from './wrapper-process.ts';

const parallel = { concurrency: 3 };

/** The game as words of a shell script; what begins with $ is the shell's. */
function game(...args: string[]): string {
  return fixture('saving-game.ts', ...args)
    .map((word) => (word.startsWith('$') ? word : `'${word}'`))
    .join(' ');
}

/** Launchers as game images have them, each a script for bash. */
const launchers = {
  /** Puts the server into the background and returns: LinuxGSM, start-stop-daemon, screen -dm. */
  daemon: (...args: string[]) => `setsid ${game(...args)} </dev/null & exit 0`,
  /** Passes the signal on, and ends the display after the game. */
  careful: `sleep 1000 & display=$!; ${game('--needs', '$display')} & game=$!
    trap 'kill -TERM $game; wait $game; kill $display' TERM; wait $game; wait $game; kill $display 2>/dev/null; exit 0`,
  /** Passes the signal on. */
  forwarding: `${game()} & game=$!; trap 'kill -TERM $game' TERM; wait $game; wait $game; exit $?`,
  /** Starts a display in the background, and becomes the game. */
  becoming: `sleep 1000 & exec ${game('--needs', '$!')}`,
  /** Starts a display and the game beside each other, and dies of any signal: xvfb-run. */
  dying: `sleep 1000 & echo "display $!"; ${game('--needs', '$!')}; kill $!`,
  /** Starts the game again whenever it ends. */
  restarting: `while :; do ${game()}; echo again; sleep 0.1; done`,
  /** Catches the signal and tells nobody. */
  deaf: `trap 'echo stopping' TERM; ${game()}; exit $?`,
  /** Catches the signal and dies of it all the same, as a Go program does that did not ask for it. */
  raising: `trap 'trap - TERM; kill -TERM $$' TERM; ${game()} & wait; wait`,
};

function isMissing(program: string): string | false {
  return spawnSync(program, ['-c', '']).status === 0 ? false : `needs ${program}`;
}

async function started(t: Afterwards, flags: readonly string[], script: string): Promise<WrapperProcess> {
  const wrapper = new WrapperProcess(t, ['--port', 'SERVER_PORT=udp', ...flags], ['bash', '-c', script]);
  await wrapper.printed(/^up /);
  await wrapper.said('Game ready');
  return wrapper;
}

function heard(wrapper: WrapperProcess): string[] {
  return wrapper.output.filter((line) => /^heard|^saved|^quits|^lost/.test(line));
}

async function pidAfter(wrapper: WrapperProcess, word: string): Promise<number> {
  return Number((await wrapper.printed(new RegExp(`^${word} `))).slice(word.length + 1));
}

suite('A game that its launcher has put into the background', parallel, () => {
  test('gets the signal that stops it, and no other', async (t) => {
    const wrapper = await started(t, ['--stop', 'signal:SIGINT'], launchers.daemon('--stop', 'SIGINT'));
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 0);
    assert.deepEqual(heard(wrapper), ['heard SIGINT', 'saved']);
  });

  test('gets no signal on top of the command that stops it', async (t) => {
    const file = `${temporaryFolder(t)}/pid`;
    const args = ['--stop', 'SIGINT', '--save-ms', '900', '--pid-file', file];
    const wrapper = await started(t, ['--stop', `exec:kill -INT $(cat ${file})`], launchers.daemon(...args));
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 0);
    assert.deepEqual(heard(wrapper), ['heard SIGINT', 'saved']);
  });

  test('plays on until --stop-at says so', async (t) => {
    const wrapper = await started(t, ['--grace-period', '17s', '--stop-at', '15s'], launchers.daemon());
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 0);
    assert.deepEqual(heard(wrapper), ['heard SIGTERM', 'saved']);
    const [learned, told] = [await wrapper.said('Interruption learned'), await wrapper.said('Game told')];
    assert.ok(told.time - learned.time >= 1900, `told after ${told.time - learned.time} ms`);
  });

  test('gets what is passed on without a meaning of its own, and is warned by a signal', async (t) => {
    const flags = ['--warn', 'signal:SIGHUP', '--grace-period', '17s', '--stop-at', '14s'];
    const wrapper = await started(t, flags, launchers.daemon());
    wrapper.signal('SIGUSR1');
    await wrapper.printed(/^heard SIGUSR1$/);
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 0);
    assert.deepEqual(heard(wrapper), ['heard SIGUSR1', 'heard SIGHUP', 'heard SIGTERM', 'saved']);
  });
});

suite('A game hears of its end once, and saves, behind a launcher that', parallel, () => {
  for (const [what, script] of [
    ['ends its display after it', launchers.careful],
    ['passes the signal on', launchers.forwarding],
    ['becomes the game', launchers.becoming],
  ] as const)
    test(what, async (t) => {
      const wrapper = await started(t, [], script);
      wrapper.signal('SIGTERM');
      assert.equal(await wrapper.status(), 0);
      assert.deepEqual(heard(wrapper), ['heard SIGTERM', 'saved']);
      assert.equal(wrapper.log.filter(({ msg }) => msg === 'Game told').length, 1);
    });

  test('dies of it: the display goes after the game, and nobody waits for it until the kill', async (t) => {
    const wrapper = await started(t, ['--grace-period', '1h'], launchers.dying);
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 143);
    assert.deepEqual(heard(wrapper), ['heard SIGTERM', 'saved']);
    assert.ok(!isAliveAndNoZombie(await pidAfter(wrapper, 'display')));
  });

  for (const [shell, words] of [
    ['dash', ['sh', '-c']],
    ['bash', ['bash', '-c']],
    ['Python', ['python3', '-c']],
  ] as const)
    test(`is ${shell} without a trap, where the game wants SIGINT`, { skip: isMissing(words[0]) }, async (t) => {
      const inner = `${game('--stop', 'SIGINT')}; echo after`;
      const script =
        shell === 'Python' ? `import subprocess; subprocess.run(${JSON.stringify(inner)}, shell=True)` : inner;
      const flags = ['--port', 'SERVER_PORT=udp', '--stop', 'signal:SIGINT', '--grace-period', '1h'];
      const wrapper = new WrapperProcess(t, flags, [...words, script]);
      await wrapper.said('Game ready');
      wrapper.signal('SIGTERM');
      await wrapper.status();
      assert.deepEqual(heard(wrapper), ['heard SIGINT', 'saved']);
    });

  test('would start it again', async (t) => {
    const wrapper = await started(t, ['--grace-period', '1h'], launchers.restarting);
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 143);
    assert.deepEqual(heard(wrapper), ['heard SIGTERM', 'saved']);
    assert.ok(!wrapper.output.includes('again'));
  });

  test('catches it and dies of it all the same', async (t) => {
    const wrapper = await started(t, ['--grace-period', '1h'], launchers.raising);
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 143);
    assert.deepEqual(heard(wrapper), ['heard SIGTERM', 'saved']);
  });

  test('keeps it to itself: the game is told while there is time', async (t) => {
    const wrapper = await started(t, ['--grace-period', '24s'], launchers.deaf);
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 0);
    assert.deepEqual(heard(wrapper), ['heard SIGTERM', 'saved']);
    assert.ok(!wrapper.hasSaid('Game killed'));
  });
});

suite('With --signal-scope', parallel, () => {
  test('game, a launcher that keeps the signal to itself hears nothing and its game does', async (t) => {
    const wrapper = await started(t, ['--signal-scope', 'game', '--grace-period', '1h'], launchers.deaf);
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 0);
    assert.deepEqual(heard(wrapper), ['heard SIGTERM', 'saved']);
    assert.ok(!wrapper.output.includes('stopping'));
  });

  test('group, a launcher that keeps the signal to itself and its game both hear it', async (t) => {
    const wrapper = await started(t, ['--signal-scope', 'group', '--grace-period', '1h'], launchers.deaf);
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 0);
    assert.deepEqual(heard(wrapper), ['heard SIGTERM', 'saved']);
    assert.ok(wrapper.output.includes('stopping'));
  });

  test('first, nobody but the first process does, to the kill', async (t) => {
    const wrapper = await started(t, ['--signal-scope', 'first', '--grace-period', '3s'], launchers.deaf);
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 137);
    assert.deepEqual(heard(wrapper), []);
  });
});

suite('A game that somebody has paused', parallel, () => {
  for (const [what, script] of [
    ['itself', launchers.becoming],
    ['behind its launcher', launchers.forwarding],
    ['in the background', launchers.daemon()],
  ] as const)
    test(`${what} hears its stop and saves`, async (t) => {
      const wrapper = await started(t, ['--grace-period', '1h'], script);
      process.kill(await pidAfter(wrapper, 'up'), 'SIGSTOP');
      // At once, so that one may be on its way while the other comes.
      wrapper.signal('SIGTERM');
      assert.equal(await wrapper.status(), 0);
      assert.deepEqual(heard(wrapper), ['heard SIGTERM', 'saved']);
    });

  test('hears what a command tells it', async (t) => {
    const file = `${temporaryFolder(t)}/pid`;
    const stop = ['--stop', `exec:kill -TERM $(cat ${file})`];
    const wrapper = await started(t, stop, `exec ${game('--pid-file', file)}`);
    process.kill(await pidAfter(wrapper, 'up'), 'SIGSTOP');
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 0);
    assert.deepEqual(heard(wrapper), ['heard SIGTERM', 'saved']);
  });
});

suite('An action that hangs', parallel, () => {
  for (const action of ['exec:echo hangs; sleep 1000 & wait', 'wait:1h'])
    test(`(${action.slice(0, 4)}) leaves the next one enough of the time`, async (t) => {
      const flags = ['--ready', 'delay:0s', '--grace-period', '12s', '--stop', action, '--stop', 'signal:SIGTERM'];
      // The kernel ends it at the signal, however busy the machine is.
      const wrapper = new WrapperProcess(t, flags, ['sleep', '1000']);
      await wrapper.said('Game ready');
      wrapper.signal('SIGTERM');
      assert.equal(await wrapper.status(), 143);
      if (action.startsWith('exec'))
        assert.match(
          String((await wrapper.said('Action failed'))['err']),
          /no end after \d+ ms, its share of the time/,
        );
    });
});
