import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { answerCall } from '../../../wrapper/agones/model/answer-call.ts';
import { gameServerDocument, shownState } from '../../../wrapper/agones/model/game-server-document.ts';
import type { SdkCall } from '../../../wrapper/agones/model/sdk-call.ts';
import {
  announceEnd,
  type HealthRules,
  newSdkModel,
  nextMoveMs,
  passTime,
  type SdkModel,
} from '../../../wrapper/agones/model/sdk-model.ts';

type Call = Exclude<SdkCall, { kind: 'get-game-server' }>;

const nowMs = Date.parse('2026-01-01T00:00:00Z');
const rules: HealthRules = { periodMs: 5000, threshold: 3, delayMs: 5000 };
const seed = {
  counters: [['rooms', { count: 1n, capacity: 10n }]],
  lists: [['players', { capacity: 3n, values: [] }]],
} as const;
const fresh = newSdkModel(seed, rules, nowMs);
const update = {
  kind: 'update-counter',
  name: 'rooms',
  count: undefined,
  capacity: undefined,
  difference: 0n,
} as const;
const setList = { kind: 'update-list', name: 'players', capacity: 0n, values: [], fields: [] } as const;

function after(...calls: Call[]): SdkModel {
  return calls.reduce((model, call) => answerCall(model, call, nowMs).model, fresh);
}

function reply(model: SdkModel, call: Call): object {
  const answer = answerCall(model, call, nowMs);
  return 'reply' in answer ? answer.reply : answer.error;
}

suite('The state of a game', () => {
  const reserve = { kind: 'reserve', seconds: 5n } as const;
  const [ready, allocate, shutdown] = (['ready', 'allocate', 'shutdown'] as const).map((kind) => ({ kind }));
  assert.ok(ready && allocate && shutdown);
  for (const [calls, state] of [
    [[], 'Scheduled'],
    [[ready], 'Ready'],
    [[allocate], 'Allocated'],
    [[ready, allocate], 'Allocated'],
    [[ready, allocate, ready], 'Ready'],
    [[ready, reserve], 'Reserved'],
    [[ready, reserve, allocate], 'Allocated'],
    [[ready, allocate, reserve], 'Reserved'],
    [[ready, shutdown], 'Shutdown'],
    [[shutdown, ready], 'Shutdown'],
    [[shutdown, allocate], 'Shutdown'],
    [[shutdown, reserve], 'Shutdown'],
  ] satisfies [Call[], string][])
    test(`is ${state} after ${calls.map(({ kind }) => kind).join(', ') || 'nothing'}`, () =>
      assert.equal(shownState(after(...calls)), state));

  test('returns to Ready when the reservation is over, not before, and only if it is still Reserved', () => {
    const reserved = after(ready, reserve);
    assert.equal(passTime(reserved, rules, nowMs + 4999), reserved);
    assert.equal(passTime(reserved, rules, nowMs + 5000).state, 'Ready');
    const allocated = answerCall(reserved, allocate, nowMs + 1000).model;
    assert.equal(passTime(allocated, rules, nowMs + 5000).state, 'Allocated');
  });

  for (const seconds of [0n, -1n, 9_223_372_036_854_775_807n])
    test(`stays Reserved where the reservation is for ${seconds} seconds`, () => {
      const reserved = after({ kind: 'reserve', seconds });
      assert.equal(reserved.reservedUntilMs, undefined);
      assert.equal(passTime(reserved, { ...rules, periodMs: undefined }, nowMs + 1e12), reserved);
    });

  test('is never changed by the announcement of an end, whatever it is', () => {
    for (const kind of ['ready', 'allocate', 'shutdown'] as const) {
      const model = after({ kind });
      for (const isCertain of [true, false])
        assert.equal(
          announceEnd(model, { kind: 'spot-termination', deadlineMs: nowMs, isCertain }, 'x').state,
          model.state,
        );
    }
  });
});

suite('Health', () => {
  test('is missed after period x threshold, counted from the end of the initial delay', () => {
    assert.equal(nextMoveMs(fresh, rules), nowMs + 20_000);
    assert.equal(passTime(fresh, rules, nowMs + 19_999), fresh);
    assert.equal(shownState(passTime(fresh, rules, nowMs + 20_000)), 'Unhealthy');
  });

  test('is never missed while it comes, returns when it comes again, and counts on from there', () => {
    const ill = passTime(after({ kind: 'allocate' }), rules, nowMs + 60_000);
    assert.equal(shownState(ill), 'Unhealthy');
    assert.equal(nextMoveMs(ill, rules), undefined);
    const well = answerCall(ill, { kind: 'health' }, nowMs + 61_000).model;
    assert.equal(shownState(well), 'Allocated');
    assert.equal(nextMoveMs(well, rules), nowMs + 61_000 + 15_000);
  });

  test('that comes in time is no news to watchers', () =>
    assert.equal(answerCall(fresh, { kind: 'health' }, nowMs).model.version, fresh.version));

  test('is nobody’s business where it is off, or after Shutdown', () => {
    const off = { ...rules, periodMs: undefined };
    assert.equal(nextMoveMs(fresh, off), undefined);
    assert.equal(passTime(fresh, off, nowMs + 1e12), fresh);
    const gone = after({ kind: 'shutdown' });
    assert.equal(nextMoveMs(gone, rules), undefined);
    assert.equal(shownState(passTime(gone, rules, nowMs + 1e12)), 'Shutdown');
  });
});

suite('A counter', () => {
  for (const [what, call, expected] of [
    ['is read', { kind: 'get-counter', name: 'rooms' }, { name: 'rooms', count: '1', capacity: '10' }],
    ['is incremented', { ...update, difference: 9n }, { name: 'rooms', count: '10', capacity: '10' }],
    ['is decremented', { ...update, difference: -1n }, { name: 'rooms', count: '0', capacity: '10' }],
    ['is set', { ...update, count: 0n }, { name: 'rooms', count: '0', capacity: '10' }],
    [
      'is set with its capacity',
      { ...update, count: 20n, capacity: 30n },
      { name: 'rooms', count: '20', capacity: '30' },
    ],
    ['is lowered by a lower capacity', { ...update, capacity: 0n }, { name: 'rooms', count: '0', capacity: '0' }],
    [
      'does not go above its capacity',
      { ...update, difference: 10n },
      { code: 2, message: 'out of range. Count must be within range [0,Capacity]. Found Count: 11, Capacity: 10' },
    ],
    [
      'does not go below 0',
      { ...update, difference: -2n },
      { code: 2, message: 'out of range. Count must be within range [0,Capacity]. Found Count: -1, Capacity: 10' },
    ],
    [
      'has no negative capacity',
      { ...update, capacity: -1n },
      { code: 2, message: 'out of range. Capacity must be greater than or equal to 0. Found Capacity: -1' },
    ],
    [
      'is unknown',
      { kind: 'get-counter', name: 'constructor' },
      { code: 2, message: 'counter not found: constructor' },
    ],
  ] satisfies [string, Call, object][])
    test(what, () => assert.deepEqual(reply(fresh, call), expected));

  test('is within its capacity after any calls', () => {
    const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    const near = fc.bigInt({ min: -12n, max: 12n });
    const anyUpdate = fc.record({
      count: fc.option(fc.oneof(int64, near), { nil: undefined }),
      capacity: fc.option(fc.oneof(int64, near), { nil: undefined }),
      difference: fc.oneof(int64, near),
    });
    fc.assert(
      fc.property(fc.array(anyUpdate, { maxLength: 12 }), (updates) => {
        const model = after(...updates.map((one) => ({ ...update, ...one })));
        const counter = model.counters.get('rooms');
        assert.ok(counter && counter.count >= 0n && counter.count <= counter.capacity);
        assert.ok(counter.capacity < 2n ** 63n);
      }),
      { numRuns: 50 },
    );
  });
});

suite('A list', () => {
  const add = (value: string) => ({ kind: 'add-list-value', name: 'players', value }) as const;
  test('takes each value once, in order, up to its capacity, and gives them back', () => {
    const full = after(add('a'), add('b'), add('c'));
    assert.deepEqual(reply(full, { kind: 'get-list', name: 'players' }), {
      name: 'players',
      capacity: '3',
      values: ['a', 'b', 'c'],
    });
    assert.deepEqual(reply(full, add('d')), {
      code: 2,
      message: 'out of range. No available capacity. Current Capacity: 3, List Size: 3',
    });
    assert.deepEqual(reply(after(add('a')), add('a')), {
      code: 2,
      message: 'already exists. Value: a already in List: players',
    });
    assert.deepEqual(reply(full, { kind: 'remove-list-value', name: 'players', value: 'b' }), {
      name: 'players',
      capacity: '3',
      values: ['a', 'c'],
    });
    assert.deepEqual(reply(fresh, { kind: 'remove-list-value', name: 'players', value: 'b' }), {
      code: 2,
      message: 'not found: value b not in list players',
    });
  });

  for (const [what, call, expected] of [
    [
      'sets only what the mask names',
      { ...setList, capacity: 9n, values: ['z'], fields: ['capacity'] },
      ['9', 'a', 'b'],
    ],
    ['sets to nothing what the mask names and nobody gives', { ...setList, fields: ['values'] }, ['3']],
    ['sets what is given where there is no mask', { ...setList, capacity: 7n }, ['7', 'a', 'b']],
    ['drops values beyond a lower capacity', { ...setList, capacity: 1n }, ['1', 'a']],
    ['keeps one of equal values', { ...setList, values: ['x', 'x'] }, ['3', 'x']],
  ] satisfies [string, Call, string[]][])
    test(what, () => {
      const [capacity = '', ...values] = expected;
      assert.deepEqual(reply(after(add('a'), add('b')), call), { name: 'players', capacity, values });
    });

  for (const [what, call, message] of [
    [
      'a capacity above 1000',
      { ...setList, capacity: 1001n },
      /^out of range\. Capacity must be within range \[0,1000\]/,
    ],
    ['a mask of other fields', { ...setList, fields: ['color'] }, /^invalid argument\. Field Mask/],
    ['a value without end', add('x'.repeat(257)), /at most 256 characters/],
    ['another name', { ...setList, name: 'x' }, /^list not found: x$/],
  ] satisfies [string, Call, RegExp][])
    test(`refuses ${what}`, () => {
      const answer = answerCall(fresh, call, nowMs);
      assert.ok('error' in answer);
      assert.match(answer.error.message, message);
      assert.equal(answer.model, fresh);
    });
});

suite('Tracked players', () => {
  const connect = (playerId: string) => ({ kind: 'connect-player', playerId }) as const;
  test('are unknown until the game speaks of them, and then counted within its capacity', () => {
    assert.equal(fresh.players, undefined);
    assert.deepEqual(reply(fresh, connect('a')), { code: 2, message: 'players are already at capacity' });
    const one = after({ kind: 'set-player-capacity', capacity: 1n }, connect('a'));
    assert.deepEqual(reply(one, connect('a')), { bool: false });
    assert.deepEqual(reply(one, connect('b')), { code: 2, message: 'players are already at capacity' });
    assert.deepEqual(reply(one, { kind: 'is-player-connected', playerId: 'a' }), { bool: true });
    assert.deepEqual(reply(one, { kind: 'get-connected-players' }), { list: ['a'] });
    assert.deepEqual(reply(one, { kind: 'get-player-count' }), { count: '1' });
    assert.deepEqual(reply(one, { kind: 'get-player-capacity' }), { count: '1' });
    assert.deepEqual(reply(one, { kind: 'disconnect-player', playerId: 'a' }), { bool: true });
    assert.deepEqual(reply(one, { kind: 'disconnect-player', playerId: 'b' }), { bool: false });
  });

  test('are at most a thousand, whatever the capacity', () => {
    const calls = Array.from({ length: 1001 }, (_, id) => connect(`p${id}`));
    const model = after({ kind: 'set-player-capacity', capacity: 10n ** 12n }, ...calls);
    assert.equal(model.players?.ids.size, 1000);
  });
});

suite('Metadata', () => {
  for (const [kind, key, value, isTaken] of [
    ['set-label', 'map', 'dm6', true],
    ['set-label', 'map', '', true],
    ['set-label', 'a.b_c-d', 'x.y_z', true],
    ['set-label', 'map', 'a b', false],
    ['set-label', 'map', 'x'.repeat(64), false],
    ['set-label', '', 'x', false],
    ['set-label', '-a', 'x', false],
    ['set-label', 'a b', 'x', false],
    ['set-label', '__proto__', 'x', false],
    ['set-annotation', 'note', 'any text\n€', true],
    ['set-annotation', 'n/o/te', '', false],
    ['set-annotation', 'note', 'x'.repeat(262_144), false],
  ] as const)
    test(`${kind} ${JSON.stringify(key)} to ${value.length} characters is ${isTaken ? 'taken' : 'refused with code 3'}`, () => {
      const answer = answerCall(fresh, { kind, key, value }, nowMs);
      if ('error' in answer) assert.deepEqual([answer.error.code, isTaken], [3, false]);
      else assert.ok(isTaken);
      const stored = kind === 'set-label' ? answer.model.labels : answer.model.annotations;
      assert.equal(stored.get(`agones.dev/sdk-${key}`), isTaken ? value : undefined);
    });

  test('has at most 64 names of each kind, and takes a known one again then', () => {
    const names = Array.from({ length: 64 }, (_, id) => ({ kind: 'set-label', key: `k${id}`, value: 'v' }) as const);
    const full = after(...names);
    assert.ok('error' in answerCall(full, { kind: 'set-label', key: 'more', value: 'v' }, nowMs));
    assert.ok('reply' in answerCall(full, { kind: 'set-label', key: 'k0', value: 'w' }, nowMs));
  });
});

suite('The GameServer message', () => {
  const identity = {
    name: 'arena-7',
    namespace: 'games',
    uid: 'u-1',
    createdAtMs: nowMs,
    labels: { fleet: 'arena' },
    ports: [{ name: 'SERVER_PORT', port: 20_001 }],
    health: rules,
  };

  test('leaves nothing out, and writes int64 as text and int32 as numbers', () =>
    assert.deepEqual(gameServerDocument(fresh, identity, '203.0.113.7'), {
      object_meta: {
        name: 'arena-7',
        namespace: 'games',
        uid: 'u-1',
        resource_version: '1',
        generation: '1',
        creation_timestamp: '1767225600',
        deletion_timestamp: '0',
        annotations: {},
        labels: { fleet: 'arena' },
      },
      spec: { health: { disabled: false, period_seconds: 5, failure_threshold: 3, initial_delay_seconds: 5 } },
      status: {
        state: 'Scheduled',
        address: '203.0.113.7',
        addresses: [{ type: 'ExternalIP', address: '203.0.113.7' }],
        ports: [{ name: 'SERVER_PORT', port: 20_001 }],
        players: null,
        counters: { rooms: { count: '1', capacity: '10' } },
        lists: { players: { capacity: '3', values: [] } },
      },
    }));

  const deadlineMs = nowMs + 120_500;
  const metaOf = (model: SdkModel) =>
    (gameServerDocument(model, identity, undefined) as { object_meta: Record<string, unknown> }).object_meta;

  test('names the end by the names that pods carry, and is deleted only when the end is certain', () => {
    const maybe = announceEnd(fresh, { kind: 'maintenance', deadlineMs, isCertain: false }, undefined);
    assert.deepEqual(metaOf(maybe)['annotations'], {
      'spotable.dev/deadline': '2026-01-01T00:02:00.500Z',
      'spotable.dev/interruption-kind': 'maintenance',
    });
    assert.equal(metaOf(maybe)['deletion_timestamp'], '0');
    const certain = announceEnd(maybe, { kind: 'spot-termination', deadlineMs, isCertain: true }, 'rebalance');
    assert.equal(metaOf(certain)['deletion_timestamp'], '1767225720');
    assert.equal((metaOf(certain)['annotations'] as Record<string, string>)['spotable.dev/at-risk'], 'rebalance');
    assert.deepEqual(metaOf(announceEnd(certain, undefined, undefined))['annotations'], {});
  });

  test('has a new version for each change and for nothing else', () => {
    const end = { kind: 'rebalance', deadlineMs, isCertain: false };
    const told = announceEnd(fresh, end, undefined);
    assert.equal(told.version, 2);
    assert.equal(announceEnd(told, { ...end }, undefined), told);
    assert.equal(announceEnd(told, { ...end, deadlineMs: deadlineMs - 1 }, undefined).version, 3);
  });
});
