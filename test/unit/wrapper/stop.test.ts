import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { addresseesOf, type SignalScope, type SignalView } from '../../../wrapper/game/addressees.ts';
import { isChildless, reactionOf } from '../../../wrapper/game/process-table.ts';
import { shareMs } from '../../../wrapper/game/run-actions.ts';
import type { Action } from '../../../wrapper/settings/parse-setting.ts';

const group = { group: true, pids: [] };
const only = (...pids: number[]) => ({ group: false, pids });

/** A launcher (1) with a display (2) and the game (3) in its group, and a daemon of the game's outside (9). */
function view(holders: number[], reaction?: 'caught' | 'ignored' | 'default'): SignalView {
  const first = reaction === undefined ? undefined : { pid: 1, reaction };
  const living = first === undefined ? [2, 3] : [1, 2, 3];
  return { first, holders, all: [...living, 9], inGroup: new Set(living) };
}

suite('A signal to stop goes by default', () => {
  const table: [string, SignalView, { group: boolean; pids: number[] }][] = [
    ['to a first process that is the game, and to no helper', view([1], 'default'), only(1)],
    ['to a first process that shares the port with its workers', view([1, 3], 'default'), only(1)],
    ['to a launcher that catches it, and leaves the game to it', view([3], 'caught'), only(1)],
    ['to a launcher that dies of it, and to the game beside it', view([3], 'default'), only(1, 3)],
    ['to a launcher that is deaf, and to the game beside it', view([3], 'ignored'), only(1, 3)],
    ['to the game alone where its launcher has returned', view([9]), only(9)],
    ['to everybody where nobody is seen to hold a port', view([], 'default'), { group: true, pids: [9] }],
    ['to everybody where that is so and the launcher has returned', view([]), { group: true, pids: [9] }],
  ];
  for (const [what, seen, expected] of table) test(what, () => assert.deepEqual(addresseesOf('auto', seen), expected));

  test('as the settings say where they do', () => {
    const seen = view([3], 'caught');
    const scopes: [SignalScope, object][] = [
      ['first', only(1)],
      ['game', only(3)],
      ['group', group],
    ];
    for (const [scope, expected] of scopes) assert.deepEqual(addresseesOf(scope, seen), expected);
    assert.deepEqual(addresseesOf('group', view([9])), { group: true, pids: [9] });
    assert.deepEqual(addresseesOf('group', { ...view([9]), inGroup: new Set() }), only(9));
    assert.deepEqual(addresseesOf('first', view([9])), only(9));
    assert.deepEqual(addresseesOf('game', view([], 'caught')), { group: true, pids: [9] });
  });
});

test('What a process does with a signal is read as it is', () => {
  const sigpwr = 30;
  assert.equal(reactionOf(process.pid, sigpwr), 'default');
  const listener = () => {};
  process.on('SIGPWR', listener);
  assert.equal(reactionOf(process.pid, sigpwr), 'caught');
  process.off('SIGPWR', listener);
  // Node ignores it, so that a closed pipe is an error and no end.
  assert.equal(reactionOf(process.pid, 13), 'ignored');
  assert.equal(reactionOf(2 ** 22 + 1, 15), undefined);
});

test('A process is childless as long as none of its threads has a child', async (t) => {
  const child = spawn('sleep', ['1000']);
  t.after(() => child.kill());
  await once(child, 'spawn');
  assert.ok(isChildless(child.pid ?? 0));
  assert.ok(!isChildless(process.pid));
  assert.ok(!isChildless(2 ** 22 + 1));
});

suite('The time that is left is shared by the actions:', () => {
  const exec: Action = { kind: 'exec', command: 'x' };
  const stop: Action = { kind: 'signal', signal: 'SIGTERM' };
  const wait = (ms: number): Action => ({ kind: 'wait', ms });

  test('a command has as much as what follows it, the last one all', () => {
    assert.equal(shareMs(exec, [], 30_000), 30_000);
    assert.equal(shareMs(exec, [wait(9000)], 30_000), 30_000);
    assert.equal(shareMs(exec, [stop], 30_000), 15_000);
    assert.equal(shareMs(exec, [exec, stop], 30_000), 10_000);
  });

  test('waits that follow have theirs first, as far as they fit', () => {
    assert.equal(shareMs(exec, [wait(10_000), stop], 30_000), 10_000);
    assert.equal(shareMs(exec, [wait(60_000), stop], 30_000), 15_000);
  });

  test('a wait leaves five seconds, or half', () => {
    assert.equal(shareMs(wait(60_000), [stop], 30_000), 25_000);
    assert.equal(shareMs(wait(60_000), [stop], 6000), 3000);
    assert.equal(shareMs(wait(60_000), [], 6000), 6000);
  });

  test('whatever hangs, the last one has its turn before the end', () => {
    const actions = fc.array(
      fc.oneof(
        fc.constant(exec),
        fc.integer({ min: 0, max: 100_000 }).map((ms) => wait(ms)),
      ),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(actions, fc.integer({ min: 1, max: 120_000 }), (before, totalMs) => {
        const all = [...before, stop];
        let leftMs = totalMs;
        for (const [index, action] of before.entries()) {
          const share = shareMs(action, all.slice(index + 1), leftMs);
          leftMs -= action.kind === 'wait' ? Math.min(action.ms, share) : share;
        }
        assert.ok(leftMs > 0);
      }),
    );
  });
});
