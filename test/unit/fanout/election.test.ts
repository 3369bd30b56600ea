import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Condition,
  type Election,
  type ElectionInput,
  type ElectionRules,
  elect,
  emptyElection,
} from '../../../fanout/election/election.ts';
import type { Upstream } from '../../../fanout/election/upstream.ts';

const rules: ElectionRules = { requiresSync: false, leaveBeforeDeadlineMs: undefined };

function upstream(id: string, change: Partial<Upstream> = {}): Upstream {
  return {
    id,
    address: '127.0.0.1',
    port: 7000,
    readiness: 'ready',
    isInSync: undefined,
    deadlineMs: undefined,
    ...change,
  };
}

function after(inputs: readonly ElectionInput[], chosen: ElectionRules = rules, nowMs = 0): Election {
  return inputs.reduce((election, input) => elect(election, input, nowMs, chosen).election, emptyElection);
}

const upstreams = (...list: Upstream[]): ElectionInput => ({ kind: 'upstreams', upstreams: list });
const condition = (id: string, is: Condition): ElectionInput => ({ kind: 'condition', id, condition: is });

const rows: readonly [string, readonly ElectionInput[], string | undefined, Partial<ElectionRules>?][] = [
  ['nobody is primary where there is nobody', [upstreams()], undefined],
  ['the first ready replica is primary', [upstreams(upstream('a'), upstream('b'))], 'a'],
  ['a starting replica is never primary', [upstreams(upstream('a', { readiness: 'starting' }), upstream('b'))], 'b'],
  ['a starting replica is not primary even alone', [upstreams(upstream('a', { readiness: 'starting' }))], undefined],
  [
    'a better replica does not take over from a good one',
    [upstreams(upstream('a')), upstreams(upstream('b'), upstream('a')), condition('b', 'alive')],
    'a',
  ],
  ['a refusing primary is left', [upstreams(upstream('a'), upstream('b')), condition('a', 'refused')], 'b'],
  ['a silent primary is left', [upstreams(upstream('a'), upstream('b')), condition('a', 'silent')], 'b'],
  [
    'a silent primary stays where the others are silent too',
    [upstreams(upstream('a'), upstream('b')), condition('b', 'silent'), condition('a', 'silent')],
    'a',
  ],
  [
    'a silent primary is better than a refusing one',
    [upstreams(upstream('a'), upstream('b')), condition('b', 'silent'), condition('a', 'refused')],
    'b',
  ],
  [
    'a replica that comes back is a spare',
    [upstreams(upstream('a'), upstream('b')), condition('a', 'refused'), condition('a', 'alive')],
    'b',
  ],
  [
    'a terminating primary is left at once',
    [
      upstreams(upstream('a'), upstream('b')),
      upstreams(upstream('a', { readiness: 'terminating', deadlineMs: 60_000 }), upstream('b')),
    ],
    'b',
  ],
  [
    'a terminating primary stays until shortly before its deadline where that is asked',
    [
      upstreams(upstream('a'), upstream('b')),
      upstreams(upstream('a', { readiness: 'terminating', deadlineMs: 60_000 }), upstream('b')),
    ],
    'a',
    { leaveBeforeDeadlineMs: 5000 },
  ],
  [
    'a terminating primary stays where nobody else is ready',
    [
      upstreams(upstream('a')),
      upstreams(upstream('a', { readiness: 'terminating' }), upstream('b', { readiness: 'starting' })),
    ],
    'a',
  ],
  [
    'of two that go the one that lasts longer is primary',
    [
      upstreams(
        upstream('a', { readiness: 'terminating', deadlineMs: 1000 }),
        upstream('b', { readiness: 'terminating', deadlineMs: 9000 }),
      ),
    ],
    'b',
  ],
  [
    'a living replica is chosen before one that was never heard',
    [upstreams(upstream('a'), upstream('b'), upstream('c')), condition('c', 'alive'), condition('a', 'refused')],
    'c',
  ],
  [
    'an unhealthy primary is left',
    [upstreams(upstream('a'), upstream('b')), { kind: 'health', id: 'a', isHealthy: false }],
    'b',
  ],
  ['a removed primary is replaced', [upstreams(upstream('a'), upstream('b')), upstreams(upstream('b'))], 'b'],
  [
    'out of sync is not primary where sync is required',
    [upstreams(upstream('a'), upstream('b', { isInSync: true }))],
    'b',
    { requiresSync: true },
  ],
  [
    'nobody is primary where nobody is in sync',
    [upstreams(upstream('a', { isInSync: false }))],
    undefined,
    { requiresSync: true },
  ],
  [
    'a replica at a new address starts anew',
    [
      upstreams(upstream('a'), upstream('b')),
      condition('b', 'refused'),
      upstreams(upstream('a'), upstream('b', { port: 7001 })),
      condition('a', 'refused'),
    ],
    'b',
  ],
];
for (const [name, inputs, primary, change] of rows)
  test(name, () => assert.equal(after(inputs, { ...rules, ...change }).primaryId, primary));

test('a primary with a later deadline is replaced shortly before it, as a planned change', () => {
  const chosen = { ...rules, leaveBeforeDeadlineMs: 5000 };
  const leaving = upstreams(upstream('a', { readiness: 'terminating', deadlineMs: 60_000 }), upstream('b'));
  const election = after([upstreams(upstream('a'), upstream('b')), condition('a', 'alive'), leaving], chosen);
  assert.equal(elect(election, { kind: 'tick' }, 54_999, chosen).change, undefined);
  assert.deepEqual(elect(election, { kind: 'tick' }, 55_000, chosen).change, {
    from: 'a',
    to: 'b',
    reason: 'terminating',
    isPlanned: true,
  });
});

test('a replica that has just recovered ranks after one that has been alive all along', () => {
  const inputs = [
    upstreams(upstream('a'), upstream('b'), upstream('c')),
    condition('a', 'alive'),
    condition('c', 'alive'),
  ];
  const later = elect(after(inputs), condition('b', 'alive'), 1000, rules).election;
  assert.equal(elect(later, condition('a', 'refused'), 2000, rules).election.primaryId, 'c');
});

test('a refusal is not planned: no reply is worth waiting for', () => {
  const election = after([upstreams(upstream('a'), upstream('b')), condition('a', 'alive')]);
  const { change } = elect(election, condition('a', 'refused'), 0, rules);
  assert.equal(change?.isPlanned, false);
  assert.equal(change?.reason, 'refused');
});

const ids = ['a', 'b', 'c', 'd'];
const anyUpstream = fc.record({
  id: fc.constantFrom(...ids),
  address: fc.constant('127.0.0.1'),
  port: fc.integer({ min: 1, max: 2 }),
  readiness: fc.constantFrom('starting' as const, 'ready' as const, 'terminating' as const),
  isInSync: fc.constantFrom(undefined, true, false),
  deadlineMs: fc.option(fc.integer({ min: 0, max: 1000 }), { nil: undefined }),
});
const anyInput: fc.Arbitrary<ElectionInput> = fc.oneof(
  fc.record({
    kind: fc.constant('upstreams' as const),
    upstreams: fc.uniqueArray(anyUpstream, { selector: ({ id }) => id, maxLength: 4 }),
  }),
  fc.record({
    kind: fc.constant('condition' as const),
    id: fc.constantFrom(...ids),
    condition: fc.constantFrom('untried' as const, 'alive' as const, 'silent' as const, 'refused' as const),
  }),
  fc.record({ kind: fc.constant('health' as const), id: fc.constantFrom(...ids), isHealthy: fc.boolean() }),
  fc.record({ kind: fc.constant('tick' as const) }),
);
const anyRules = fc.record({
  requiresSync: fc.boolean(),
  leaveBeforeDeadlineMs: fc.option(fc.integer({ min: 0, max: 500 }), { nil: undefined }),
});

test('at any time there is at most one primary, a known replica, and there is one while one is eligible', () => {
  fc.assert(
    fc.property(fc.array(anyInput, { maxLength: 40 }), anyRules, (inputs, chosen) => {
      let election = emptyElection;
      inputs.forEach((input, nowMs) => {
        const before = election;
        const elected = elect(before, input, nowMs * 25, chosen);
        election = elected.election;
        const primary = election.replicas.find(({ upstream: { id } }) => id === election.primaryId);
        const isFit = ({ readiness, isInSync }: Upstream) =>
          readiness !== 'starting' && (!chosen.requiresSync || isInSync === true);
        if (election.primaryId !== undefined) assert.ok(primary);
        if (election.replicas.some((replica) => isFit(replica.upstream))) assert.ok(primary);
        // Only what may be primary becomes so; losing that right without a successor does not leave the players alone.
        if (elected.change?.to !== undefined) assert.ok(primary !== undefined && isFit(primary.upstream));
        assert.equal(elected.change === undefined, before.primaryId === election.primaryId);
      });
    }),
  );
});

test('the primary never flaps: nothing that others do replaces a healthy, alive, ready primary', () => {
  fc.assert(
    fc.property(fc.array(anyInput, { maxLength: 40 }), (inputs) => {
      const a = upstream('a', { port: 1 });
      // Alive later than all others, so that ties go to them.
      let election = after([upstreams(a), condition('a', 'alive')], rules, 1000);
      inputs.forEach((input, nowMs) => {
        const others: ElectionInput =
          input.kind === 'upstreams'
            ? { ...input, upstreams: [...input.upstreams.filter(({ id }) => id !== 'a'), a] }
            : input;
        if ('id' in others && others.id === 'a') return;
        election = elect(election, others, nowMs, rules).election;
        assert.equal(election.primaryId, 'a');
      });
    }),
  );
});

test('every change of upstreams converges: the same input again changes nothing', () => {
  fc.assert(
    fc.property(fc.array(anyInput, { maxLength: 30 }), anyRules, (inputs, chosen) => {
      const nowMs = 100;
      const election = after(inputs, chosen, nowMs);
      const again = elect(election, { kind: 'tick' }, nowMs, chosen);
      assert.equal(again.change, undefined);
      const list = election.replicas.map((replica) => replica.upstream);
      assert.equal(elect(election, { kind: 'upstreams', upstreams: list }, nowMs, chosen).change, undefined);
    }),
  );
});
