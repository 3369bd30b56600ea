import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  absencesUntilCancelled,
  nothingTracked,
  type Observation,
  type Tracked,
  type Tracking,
  trackInterruption,
} from '../../../agent/interruption/track-interruption.ts';
import {
  asg,
  look,
  maintenance,
  noon,
  planned,
  policy,
  rebalance,
  rehearsal,
  spot,
  withResponses,
} from './agent-values.ts';

const answered = (interruption = planned(spot), absences = 0): Tracked => ({
  state: 'answered',
  interruption,
  absences,
});
const remembered = (interruption = planned(spot), absences = 0): Tracked => ({
  state: 'remembered',
  interruption,
  absences,
});

/** Folds several looks a second apart; returns the last step and the kinds of all changes but `none`. */
function fold(start: Tracked, looks: readonly Observation[], rules = policy): { last: Tracking; changes: string[] } {
  let last: Tracking = { tracked: start, change: { kind: 'none' } };
  const changes: string[] = [];
  looks.forEach((seen, index) => {
    last = trackInterruption(last.tracked, seen, rules, noon + index * 1000);
    if (last.change.kind !== 'none') changes.push(last.change.kind);
  });
  return { last, changes };
}

describe('a notice', () => {
  const table = [
    {
      name: 'spot termination is drained by its own deadline',
      notice: spot,
      response: 'drain',
      deadlineMs: noon + 120_000,
    },
    {
      name: 'a rebalance recommendation holds the node and names no deadline',
      notice: rebalance,
      response: 'hold',
      deadlineMs: undefined,
    },
    {
      name: 'a maintenance that is days away only holds the node',
      notice: maintenance,
      response: 'hold',
      deadlineMs: noon + 86_400_000,
    },
    {
      name: 'a maintenance within the lead is drained',
      notice: { ...maintenance, deadlineMs: noon + 1_800_000 },
      response: 'drain',
      deadlineMs: noon + 1_800_000,
    },
    {
      name: 'a termination by the group is taken to give two minutes',
      notice: asg,
      response: 'drain',
      deadlineMs: noon + 120_000,
    },
    { name: 'a rehearsal is drained', notice: rehearsal, response: 'drain', deadlineMs: noon + 90_000 },
    {
      name: 'hibernation gives no two minutes, whatever the notice says',
      notice: { ...spot, action: 'hibernate' as const },
      response: 'drain',
      deadlineMs: noon,
    },
    {
      name: 'a deadline that has just passed stays the deadline',
      notice: { ...spot, deadlineMs: noon - 60_000 },
      response: 'drain',
      deadlineMs: noon - 60_000,
    },
    {
      name: 'a spot deadline ten minutes past was not true: two minutes are left from now',
      notice: { ...spot, deadlineMs: noon - 600_000 },
      response: 'drain',
      deadlineMs: noon + 120_000,
    },
    {
      name: 'a fresh spot notice gives two minutes at most',
      notice: { ...spot, deadlineMs: noon + 300_000 },
      response: 'drain',
      deadlineMs: noon + 120_000,
    },
    {
      name: 'a spot notice without an instant gives two minutes',
      notice: { ...spot, deadlineMs: undefined },
      response: 'drain',
      deadlineMs: noon + 120_000,
    },
    {
      name: 'a maintenance that has begun already leaves the assumed notice',
      notice: { ...maintenance, deadlineMs: noon - 1000 },
      response: 'drain',
      deadlineMs: noon + 120_000,
    },
  ];
  for (const { name, notice, response, deadlineMs } of table)
    test(name, () => {
      const { change, tracked } = trackInterruption(nothingTracked, look([notice]), policy, noon);
      assert.deepEqual(change, {
        kind: 'begun',
        interruption: { ...notice, firstSeenMs: noon, response, deadlineMs },
        isResumed: false,
      });
      assert.equal(tracked.state, 'answered');
    });

  for (const { kind, ...notice } of [spot, rebalance, maintenance, asg])
    test(`${kind} is not answered where the policy ignores it`, () => {
      const { change } = trackInterruption(
        nothingTracked,
        look([{ kind, ...notice }]),
        withResponses({ [kind]: 'ignore' }),
        noon,
      );
      assert.equal(change.kind, 'none');
    });

  test('seen a thousand times is one interruption', () => {
    const { changes } = fold(nothingTracked, Array(1000).fill(look([spot])));
    assert.deepEqual(changes, ['begun']);
  });

  test('without an instant keeps the deadline that it was given when it was first seen', () => {
    const { last, changes } = fold(nothingTracked, Array(90).fill(look([asg])));
    assert.deepEqual(changes, ['begun']);
    assert.ok(last.tracked.state === 'answered' && last.tracked.interruption.deadlineMs === noon + 120_000);
  });
});

describe('what is answered', () => {
  test('changes with a moved deadline, without starting over', () => {
    const moved = { ...spot, deadlineMs: noon + 60_000 };
    const { change } = trackInterruption(answered(), look([moved]), policy, noon + 5000);
    assert.deepEqual(change, {
      kind: 'changed',
      interruption: planned(moved),
      before: planned(spot),
    });
  });

  const reprieves = [
    { name: 'a spot termination is not put off', known: spot, before: noon + 5000, change: 'none' },
    { name: 'nor when its instant has passed', known: spot, before: noon + 120_000, change: 'none' },
    {
      name: 'nor when it can no longer be read',
      known: { ...spot, deadlineMs: noon + 60_000 },
      before: noon + 5000,
      change: 'none',
      later: undefined,
    },
    {
      name: 'a maintenance can be put off',
      known: { ...maintenance, deadlineMs: noon + 120_000 },
      before: noon + 5000,
      change: 'changed',
    },
  ];
  for (const { name, known, before, change: expected, ...row } of reprieves)
    test(name, () => {
      const later = { ...known, deadlineMs: 'later' in row ? undefined : noon + 150_000 };
      const { change } = trackInterruption(answered(planned(known)), look([later]), policy, before);
      assert.equal(change.kind, expected);
    });

  test('is another one where a new notice comes long after the first one was over, as after a stop and start', () => {
    const nowMs = noon + 3_600_000;
    const { change } = trackInterruption(remembered(), look([{ ...spot, deadlineMs: nowMs + 100_000 }]), policy, nowMs);
    assert.ok(change.kind === 'begun');
    assert.deepEqual([change.interruption.firstSeenMs, change.interruption.deadlineMs], [nowMs, nowMs + 100_000]);
  });

  test('stays the same where the metadata service now names the instance otherwise', () => {
    const { change, tracked } = trackInterruption(
      answered(),
      look([{ ...spot, id: 'n-1/spot-termination' }]),
      policy,
      noon,
    );
    assert.equal(change.kind, 'none');
    assert.ok(tracked.state === 'answered' && tracked.interruption.id === spot.id);
  });

  test('is another one where a second maintenance comes in the place of the first', () => {
    const near = { ...maintenance, deadlineMs: noon + 60_000 };
    const { change } = trackInterruption(
      answered(planned(near)),
      look([near, { ...near, id: 'e-2', deadlineMs: noon + 30_000 }]),
      policy,
      noon,
    );
    assert.ok(change.kind === 'changed' && change.interruption.id === 'e-2');
  });

  test('gives way to a stricter notice', () => {
    const { change } = trackInterruption(answered(planned(rebalance)), look([rebalance, spot]), policy, noon);
    assert.ok(change.kind === 'changed' && change.interruption.id === spot.id);
  });

  test('does not give way to a milder notice', () => {
    const { change } = trackInterruption(answered(), look([spot, rebalance]), policy, noon);
    assert.equal(change.kind, 'none');
  });

  test('gives way to an equally strict notice with a sooner deadline', () => {
    const sooner = { ...asg, deadlineMs: noon + 30_000 };
    const { change } = trackInterruption(answered(), look([spot, sooner]), policy, noon);
    assert.ok(change.kind === 'changed' && change.interruption.id === asg.id);
  });

  test('turns from a hold into a drain when its maintenance comes near', () => {
    const first = trackInterruption(nothingTracked, look([maintenance]), policy, noon);
    const nearMs = noon + 86_400_000 - 1_800_000;
    const { change } = trackInterruption(first.tracked, look([maintenance]), policy, nearMs);
    assert.ok(change.kind === 'changed' && change.interruption.response === 'drain');
    assert.equal(change.interruption.firstSeenMs, noon);
  });

  test('falls back to a milder notice that is still there when the stricter one is withdrawn', () => {
    const { last, changes } = fold(answered(), Array(absencesUntilCancelled).fill(look([rebalance])));
    assert.deepEqual(changes, ['changed']);
    assert.ok(last.change.kind === 'changed' && last.change.interruption.response === 'hold');
  });

  test('is cancelled after three looks without it', () => {
    assert.deepEqual(fold(answered(), Array(absencesUntilCancelled).fill(look([]))).changes, ['cancelled']);
  });

  test('survives two looks without it', () => {
    const { last, changes } = fold(answered(), [look([]), look([]), look([spot]), look([]), look([])]);
    assert.deepEqual(changes, []);
    assert.equal(last.tracked.state, 'answered');
  });

  test('is never cancelled by looks that could not see its kind', () => {
    const { changes } = fold(answered(), Array(1000).fill(look([], ['spot-termination'])));
    assert.deepEqual(changes, []);
  });

  test('is cancelled though another kind cannot be seen', () => {
    const { changes } = fold(answered(), Array(absencesUntilCancelled).fill(look([], ['maintenance'])));
    assert.deepEqual(changes, ['cancelled']);
  });
});

describe('a rehearsal', () => {
  test('gives way to anything real, also to what is milder', () => {
    const { change } = trackInterruption(answered(planned(rehearsal)), look([rehearsal, rebalance]), policy, noon);
    assert.ok(change.kind === 'changed' && change.interruption.kind === 'rebalance');
  });

  test('takes the place of nothing real', () => {
    const sooner = { ...rehearsal, deadlineMs: noon + 10_000 };
    const { change } = trackInterruption(answered(), look([spot, sooner]), policy, noon);
    assert.equal(change.kind, 'none');
  });
});

describe('what an agent before us began', () => {
  test('goes on when its notice is there', () => {
    const { change } = trackInterruption(remembered(), look([spot]), policy, noon + 30_000);
    assert.deepEqual(change, { kind: 'begun', interruption: planned(spot), isResumed: true });
  });

  test('goes on when nothing can be seen and its deadline is ahead', () => {
    const { change } = trackInterruption(remembered(), look([], ['spot-termination']), policy, noon + 30_000);
    assert.equal(change.kind, 'begun');
  });

  test('waits when nothing can be seen and its deadline has passed, as after a stop and start', () => {
    const { last, changes } = fold(
      remembered(planned(spot, { deadlineMs: noon - 60_000 })),
      Array(10).fill(look([], ['spot-termination'])),
    );
    assert.deepEqual(changes, []);
    assert.equal(last.tracked.state, 'remembered');
  });

  test('is undone, and nothing else, when its notice is gone', () => {
    const { changes } = fold(remembered(), Array(absencesUntilCancelled).fill(look([])));
    assert.deepEqual(changes, ['cancelled']);
  });

  test('waits for its source to be read: one that was not looked at is not out of sight', () => {
    const notLooked = { notices: [], seen: new Set(['rebalance'] as const), blindTo: new Set<never>() };
    const { last, changes } = fold(remembered(), [notLooked, notLooked, notLooked, notLooked]);
    assert.deepEqual(changes, []);
    assert.ok(last.tracked.state === 'remembered' && last.tracked.absences === 0);
  });

  test('is not taken up again in a look that skips its source, once a look has shown it gone', () => {
    const { changes } = fold(remembered(planned(rebalance)), [
      look([]),
      look([], ['rebalance']),
      look([], ['rebalance']),
    ]);
    assert.deepEqual(changes, []);
  });

  test('is undone where the policy now ignores its kind', () => {
    const { changes } = fold(
      remembered(planned(rebalance)),
      Array(absencesUntilCancelled).fill(look([rebalance])),
      withResponses({ rebalance: 'ignore' }),
    );
    assert.deepEqual(changes, ['cancelled']);
  });

  test('is replaced by a stricter notice that came while nobody looked', () => {
    const { change } = trackInterruption(remembered(planned(rebalance)), look([rebalance, spot]), policy, noon);
    assert.ok(change.kind === 'begun' && !change.isResumed && change.interruption.id === spot.id);
  });
});

test('whatever is seen in whatever order, begun and cancelled alternate and every change says something new', () => {
  const notices = [spot, rebalance, maintenance, asg, rehearsal, { ...spot, deadlineMs: noon + 60_000 }];
  const kinds = ['spot-termination', 'rebalance', 'maintenance', 'asg-termination', 'rehearsal'] as const;
  const anyLook = fc.record({
    notices: fc.uniqueArray(fc.constantFrom(...notices), { selector: ({ id }) => id }),
    blindTo: fc.subarray([...kinds]),
  });
  fc.assert(
    fc.property(fc.array(anyLook, { maxLength: 60 }), (looks) => {
      let tracked: Tracked = nothingTracked;
      let isUnderWay = false;
      looks.forEach((seen, index) => {
        const step = trackInterruption(tracked, look(seen.notices, seen.blindTo), policy, noon + index * 1000);
        tracked = step.tracked;
        const { change } = step;
        if (change.kind === 'begun') assert.equal(isUnderWay, false);
        if (change.kind === 'changed' || change.kind === 'cancelled') assert.equal(isUnderWay, true);
        if (change.kind === 'changed') assert.notDeepEqual(change.interruption, change.before);
        if (change.kind !== 'none') isUnderWay = change.kind !== 'cancelled';
        assert.equal(tracked.state === 'answered', isUnderWay);
        const isSpotThere = seen.notices.some(({ kind }) => kind === 'spot-termination');
        if (isSpotThere) assert.ok(tracked.state === 'answered' && tracked.interruption.response === 'drain');
      });
    }),
  );
});
