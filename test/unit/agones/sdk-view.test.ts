import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { announcedEnd } from '../../../wrapper/agones/model/announced-end.ts';
import { answerCall } from '../../../wrapper/agones/model/answer-call.ts';
import type { SdkCall } from '../../../wrapper/agones/model/sdk-call.ts';
import { newSdkModel, passTime, type SdkModel } from '../../../wrapper/agones/model/sdk-model.ts';
import { isNews, lifeEventsBetween, viewOf } from '../../../wrapper/agones/model/sdk-view.ts';
import type { Life } from '../../../wrapper/life/lifecycle.ts';

type Call = Exclude<SdkCall, { kind: 'get-game-server' }>;

const nowMs = 1_000_000;
const health = { periodMs: 1000, threshold: 3, delayMs: 0 };
const fresh = newSdkModel({ counters: [], lists: [] }, health, nowMs);
const rules = { decidesReady: true, gracePeriodMs: 30_000, stopLeadMs: undefined };
const view = (model: SdkModel) => viewOf(model, health);

function after(model: SdkModel, ...calls: Call[]): SdkModel {
  return calls.reduce((before, call) => answerCall(before, call, nowMs).model, model);
}

function between(before: SdkModel, model: SdkModel, changes: Partial<typeof rules> | { stopLeadMs: number } = {}) {
  return lifeEventsBetween(view(before), view(model), { ...rules, ...changes }, nowMs);
}

suite('What the game says', () => {
  const ready = after(fresh, { kind: 'ready' });
  const allocated = after(ready, { kind: 'allocate' });
  const reserved = after(ready, { kind: 'reserve', seconds: 5n });

  test('makes it ready where its word decides, and not where ports do', () => {
    assert.deepEqual(between(fresh, ready), [{ kind: 'game-ready' }]);
    assert.deepEqual(between(fresh, ready, { decidesReady: false }), []);
  });

  test('makes it ready and allocated at once where it allocates itself first', () =>
    assert.deepEqual(between(fresh, after(fresh, { kind: 'allocate' })), [
      { kind: 'game-ready' },
      { kind: 'allocation', isAllocated: true },
    ]));

  test('protects it while it is allocated or reserved', () => {
    assert.deepEqual(between(ready, allocated), [{ kind: 'allocation', isAllocated: true }]);
    assert.deepEqual(between(ready, reserved), [{ kind: 'allocation', isAllocated: true }]);
    assert.deepEqual(between(reserved, allocated), []);
    assert.deepEqual(between(allocated, after(allocated, { kind: 'ready' })), [
      { kind: 'allocation', isAllocated: false },
    ]);
    assert.equal(view(reserved).labels['agones.dev/state'], 'Reserved');
  });

  test('ends it once, within its grace or, where it stops late, the time that it needs to stop', () => {
    const gone = after(allocated, { kind: 'shutdown' });
    const [ended, ...others] = between(allocated, gone);
    // Above all it is not free for a moment before.
    assert.deepEqual(others, []);
    assert.deepEqual(ended, {
      kind: 'end-announced',
      cause: {
        ...{ id: 'shutdown', via: 'wrapper', reason: 'shutdown', deadlineMs: undefined },
        ...{ endByMs: nowMs + 30_000, notToldBeforeMs: nowMs + 1000 },
      },
    });
    const [soon] = between(allocated, gone, { stopLeadMs: 10_000 });
    assert.equal(soon?.kind === 'end-announced' && soon.cause.endByMs, nowMs + 10_000);
    assert.deepEqual(between(gone, after(gone, { kind: 'shutdown' })), []);
  });

  test('is missed as Health() by name and time', () => {
    assert.equal(view(fresh).problem, undefined);
    assert.equal(view(passTime(fresh, health, nowMs + 3000)).problem, 'no Health() for 3 s');
  });
});

suite('The inventory', () => {
  const rich = newSdkModel(
    { counters: [['players', { count: 4n, capacity: 8n }]], lists: [['rooms', { capacity: 5n, values: [] }]] },
    health,
    nowMs,
  );

  test('hears the players from tracking, else from a list, else from a counter of that name', () => {
    assert.equal(view(fresh).players, null);
    assert.equal(view(rich).players, 4);
    const listed = newSdkModel(
      { counters: [['players', { count: 4n, capacity: 8n }]], lists: [['players', { capacity: 5n, values: [] }]] },
      health,
      nowMs,
    );
    assert.equal(view(after(listed, { kind: 'add-list-value', name: 'players', value: 'a' })).players, 1);
    assert.equal(view(after(listed, { kind: 'set-player-capacity', capacity: 9n })).players, 0);
  });

  test('is not told a count that no event takes', () => {
    const huge = newSdkModel(
      { counters: [['players', { count: 10n ** 15n, capacity: 10n ** 15n }]], lists: [] },
      health,
      nowMs,
    );
    assert.equal(view(huge).players, null);
  });

  test('hears counters, lists and labels, and no more of them than its events take', () => {
    const labels = Array.from({ length: 64 }, (_, id) => ({ kind: 'set-label', key: `k${id}`, value: 'v' }) as const);
    const said = view(after(rich, ...labels)).labels;
    assert.equal(said['counters.agones.dev/players'], '4_8');
    assert.equal(said['lists.agones.dev/rooms'], '0_5');
    assert.equal(said['agones.dev/sdk-k0'], 'v');
    assert.equal(Object.keys(said).length, 24);
  });

  test('hears at once of other players and labels, and of nothing else', () => {
    const labelled = after(rich, { kind: 'set-label', key: 'map', value: 'dm6' });
    assert.ok(isNews(view(rich), view(labelled)));
    assert.ok(!isNews(view(rich), view(after(rich, { kind: 'allocate' }))));
    assert.ok(isNews(view(fresh), view(after(fresh, { kind: 'set-player-capacity', capacity: 1n }))));
  });
});

suite('The end is', () => {
  const ending = (reason: 'maintenance' | 'spot-termination', isTold: boolean): Life => ({
    phase: 'ending',
    isReady: true,
    isAllocated: true,
    problem: undefined,
    causes: [{ id: 'x', via: 'link', reason, deadlineMs: nowMs + 1000, endByMs: nowMs }],
    learnedAtMs: nowMs,
    isTold,
    isKilled: false,
    hurriedToMs: undefined,
    signals: 0,
  });

  test('not known to a game that serves', () =>
    assert.equal(announcedEnd({ phase: 'serving', isReady: true, isAllocated: false, problem: undefined }), undefined));

  for (const [reason, isTold, isCertain] of [
    ['spot-termination', false, true],
    ['maintenance', false, false],
    ['maintenance', true, true],
  ] as const)
    test(`${isCertain ? 'certain' : 'revocable'} for a ${reason} of which the game ${isTold ? 'was' : 'was not'} told`, () =>
      assert.deepEqual(announcedEnd(ending(reason, isTold)), { kind: reason, deadlineMs: nowMs + 1000, isCertain }));
});
