import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import { forwardedSignals } from '../../../wrapper/signal-numbers.ts';
import { eventually, fixture, patienceMs, WrapperProcess } from './wrapper-process.ts';

const parallel = { concurrency: 4 };

/**
 * A PID namespace of its own, with its own /proc, as a container has; without being root, where the kernel allows it.
 */
const container = ['unshare', '--user', '--map-root-user', '--pid', '--fork', '--mount-proc', '--kill-child'];

function whyNot(command: string, ...args: string[]): string | false {
  const { status, error } = spawnSync(command, args, { timeout: 5000 });
  return status === 0 ? false : `needs ${[command, ...args].join(' ')} (${error?.message ?? `status ${status}`})`;
}

const noContainer = whyNot(container[0] ?? '', ...container.slice(1), 'true');
const noTini = whyNot('tini', '--version');

suite('The status of a wrapper', parallel, () => {
  test('is the status of its game, from 0 to 255', async (t) => {
    const statuses = [0, 1, 2, 63, 64, 70, 78, 79, 125, 126, 127, 128, 130, 137, 143, 254, 255];
    for (let index = 0; index < statuses.length; index += 4)
      await Promise.all(
        statuses.slice(index, index + 4).map(async (status) => {
          const wrapper = new WrapperProcess(t, [], ['sh', '-c', `exit ${status}`]);
          assert.equal(await wrapper.status(), status);
        }),
      );
  });

  test('is 128+n when signal n ends its game', async (t) => {
    const numbers = [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 24, 31];
    for (let index = 0; index < numbers.length; index += 4)
      await Promise.all(
        numbers.slice(index, index + 4).map(async (number) => {
          const wrapper = new WrapperProcess(t, [], ['sh', '-c', `ulimit -c 0; kill -${number} $$`]);
          assert.equal(await wrapper.status(), 128 + number);
        }),
      );
  });
});

suite('Signals', parallel, () => {
  test('of every kind that can be passed on reach the whole process group, and only SIGTERM and SIGINT end it', async (t) => {
    const script = fixture('print-signals.sh')[0] ?? '';
    const all = Object.keys(forwardedSignals).map((name) => name.slice(3));
    // Two children of a launcher that lives through everything. In a pipe, because what a shell starts with & ignores
    // SIGINT and SIGQUIT.
    const launcher = `trap : ${Object.values(forwardedSignals).join(' ')}; "${script}" >&2 | "${script}"`;
    // By default the two that stop a game go to a launcher that catches them, and not past it.
    const flags = ['--grace-period', '1h', '--signal-scope', 'group'];
    const wrapper = new WrapperProcess(t, flags, ['sh', '-c', launcher]);
    const both = (word: string) =>
      eventually(`both print ${word}`, () => wrapper.output.includes(word) && wrapper.plain.includes(word));
    await both('listening');
    // SIGTERM and SIGINT would be stop and hurry: one of them comes last.
    for (const name of [...all.filter((name) => name !== 'TERM' && name !== 'INT'), 'INT']) {
      wrapper.signal(`SIG${name}` as NodeJS.Signals);
      await both(`SIG${name}`);
    }
    assert.ok(wrapper.hasSaid('Interruption learned'));
    wrapper.signal('SIGKILL');
  });

  test('that end a game reach it through tini as well', { skip: noTini }, async (t) => {
    const wrapper = new WrapperProcess(t, [], fixture('udp-game.ts'), { before: ['tini', '--'] });
    await wrapper.said('Game ready');
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 3);
  });
});

suite('In a container of its own', { ...parallel, skip: noContainer }, () => {
  const countZombies = 'grep -hs "^State:.*Z" /proc/[0-9]*/status | wc -l';
  // The game itself counts, from inside, once its orphans have had their time.
  const game = (script: string) => [
    'sh',
    '-c',
    `"${script}" & sleep 3; echo "zombies $(${countZombies})"; kill $!; exit 0`,
  ];
  const orphans = fixture('orphan-maker.sh')[0] ?? '';

  test('a game that orphans 100 children leaves no zombie behind tini', { skip: noTini }, async (t) => {
    const wrapper = new WrapperProcess(t, [], game(orphans), { before: [...container, 'tini', '--'] });
    assert.equal(await wrapper.printed(/^zombies/), 'zombies 0');
    assert.equal(await wrapper.status(), 0);
  });

  test('they do pile up behind a wrapper that is PID 1 itself, and it says so', async (t) => {
    const wrapper = new WrapperProcess(t, [], game(orphans), { before: container });
    assert.ok(Number((await wrapper.printed(/^zombies/)).slice(8)) >= 50);
    assert.ok(wrapper.hasSaid('Running as PID 1: orphans are not reaped; put tini in front'));
  });

  test('the end of a killed wrapper is the end of its game behind a start script that goes on', async (t) => {
    const game = ['sh', '-c', 'sleep 1000 & sleep 0.3; kill -9 "$PPID"; sleep 1000'];
    const left = 'grep -lsz "^SPOTABLE_GAME=" /proc/[0-9]*/environ | wc -l';
    const start = `"$@" & wait $!; for i in 1 2 3 4 5 6 7 8 9; do sleep 0.2; [ "$(${left})" = 0 ] && break; done; echo "left $(${left})"`;
    const wrapper = new WrapperProcess(t, [], game, { before: [...container, 'sh', '-c', start, 'start'] });
    assert.equal(await wrapper.printed(/^left/), 'left 0');
  });

  test('the end of a killed wrapper is the end of its game', { skip: noTini }, async (t) => {
    const game = ['sh', '-c', 'sleep 1000 & echo up; kill -9 "$PPID"; sleep 1000'];
    const wrapper = new WrapperProcess(t, [], game, { before: [...container, 'tini', '--'] });
    const closed = once(wrapper.child, 'close', { signal: AbortSignal.timeout(patienceMs) });
    await wrapper.printed(/up/);
    assert.equal(await wrapper.status(), 137);
    // Whoever lived on would hold the output open.
    await closed;
  });
});
