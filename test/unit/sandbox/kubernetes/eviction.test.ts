import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { conditionOf, type PodDisruptionBudget } from '../../../../sandbox/kubernetes/objects.ts';
import { evict } from '../../../../sandbox/kubernetes/registry/eviction.ts';
import { budgets, pods } from '../../../../sandbox/kubernetes/registry/table.ts';
import { Refusal, type Status } from '../../../../sandbox/kubernetes/status-errors.ts';
import { aBudget, aPendingPod, aPod, aRegistry, type PodFacts } from './cluster-objects.ts';

const full = { currentHealthy: 1, desiredHealthy: 1 };

/** What an eviction of gs-1 under these budgets is answered: 201, or the refusal. */
function tryEviction(facts: PodFacts, covering: readonly PodDisruptionBudget[]): Status | 201 {
  const { registry, store } = aRegistry();
  store.put(pods, aPod('gs-1', facts));
  for (const budget of covering) store.put(budgets, budget);
  try {
    evict(registry, 'arena', 'gs-1', {});
    return 201;
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error));
    return error.status;
  }
}

const cases: readonly (readonly [title: string, facts: PodFacts, budgets: PodDisruptionBudget[], code: number])[] = [
  ['is granted without a budget', {}, [], 201],
  ['is granted by a budget that allows one', {}, [aBudget('b', {}, { disruptionsAllowed: 1 })], 201],
  ['is refused by a budget that is used up', {}, [aBudget('b', {}, full)], 429],
  [
    'is refused by a budget that was never observed',
    {},
    [aBudget('b', {}, { observedGeneration: 0, disruptionsAllowed: 1 })],
    429,
  ],
  [
    'is 500 under two budgets, though both allow it',
    {},
    [aBudget('a', {}, { disruptionsAllowed: 1 }), aBudget('b', {}, { disruptionsAllowed: 1 })],
    500,
  ],
  ['does not ask about a finished pod', { phase: 'Failed' }, [aBudget('b', {}, full)], 201],
  [
    'does not ask about a terminating pod',
    { meta: { deletionTimestamp: '2026-11-22T11:00:30Z', deletionGracePeriodSeconds: 30 } },
    [aBudget('b', {}, full)],
    201,
  ],
  ['of a pod that is not ready is granted while the others suffice', { ready: false }, [aBudget('b', {}, full)], 201],
  [
    'of a pod that is not ready is refused while the others do not',
    { ready: false },
    [aBudget('b', {}, { desiredHealthy: 1 })],
    429,
  ],
  [
    'of a pod that is not ready is granted by AlwaysAllow',
    { ready: false },
    [aBudget('b', { unhealthyPodEvictionPolicy: 'AlwaysAllow' }, { desiredHealthy: 1 })],
    201,
  ],
  [
    'does not ask a budget of other pods',
    {},
    [aBudget('b', { selector: { matchLabels: { app: 'other' } } }, full)],
    201,
  ],
];

describe('An eviction', () => {
  for (const [title, facts, covering, code] of cases) {
    it(title, () => {
      const answer = tryEviction(facts, covering);
      assert.equal(answer === 201 ? 201 : answer.code, code);
    });
  }

  it('says when to ask again only where the budget is not observed yet', () => {
    const unobserved = tryEviction({}, [aBudget('b', {}, { observedGeneration: 0 })]);
    const exhausted = tryEviction({}, [aBudget('b', {}, full)]);
    assert.equal(unobserved !== 201 && unobserved.details?.retryAfterSeconds, 10);
    assert.ok(exhausted !== 201 && exhausted.details?.retryAfterSeconds === undefined);
  });

  it('spends the budget at once, so that a second one in the same moment is refused', () => {
    const { registry, store } = aRegistry();
    for (const name of ['gs-1', 'gs-2']) store.put(pods, aPod(name));
    store.put(budgets, aBudget('b', {}, { disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1 }));
    evict(registry, 'arena', 'gs-1', {});
    assert.throws(() => evict(registry, 'arena', 'gs-2', {}), /429/);
    assert.deepEqual(Object.keys(store.get(budgets, 'arena', 'b')?.status.disruptedPods ?? {}), ['gs-1']);
  });

  it('writes the condition first and the deletion second', () => {
    const { registry, store } = aRegistry();
    store.put(pods, aPod('gs-1'));
    const seen: string[] = [];
    store.subscribe(pods, ({ type, object }) => {
      const condition = conditionOf((object as ReturnType<typeof aPod>).status.conditions, 'DisruptionTarget');
      seen.push(`${type} ${condition?.reason} ${object.metadata.deletionTimestamp ?? 'alive'}`);
    });
    evict(registry, 'arena', 'gs-1', { gracePeriodSeconds: 3 });
    assert.deepEqual(seen, [
      'MODIFIED EvictionByEvictionAPI alive',
      'MODIFIED EvictionByEvictionAPI 2026-11-22T11:00:03Z',
    ]);
  });

  it('tried as a dry run asks the budget and changes nothing', () => {
    const { registry, store } = aRegistry();
    store.put(pods, aPod('gs-1'));
    store.put(budgets, aBudget('b', {}, { disruptionsAllowed: 1 }));
    const before = store.resourceVersion;
    evict(registry, 'arena', 'gs-1', { dryRun: true });
    assert.equal(store.resourceVersion, before);
    store.put(budgets, aBudget('b', {}, full));
    assert.throws(() => evict(registry, 'arena', 'gs-1', { dryRun: true }), /429/);
  });

  it('of another pod than the caller means is refused and marks nothing', () => {
    const { registry, store } = aRegistry();
    store.put(pods, aPod('gs-1'));
    const before = store.resourceVersion;
    assert.throws(() => evict(registry, 'arena', 'gs-1', { preconditions: { uid: 'another' } }), /409/);
    assert.equal(store.resourceVersion, before);
  });

  it('takes a precondition on the version that the pod has, though its own condition makes a newer one', () => {
    const { registry, store } = aRegistry();
    const { metadata } = store.put(pods, aPod('gs-1'));
    evict(registry, 'arena', 'gs-1', { preconditions: { resourceVersion: metadata.resourceVersion } });
    assert.notEqual(store.get(pods, 'arena', 'gs-1')?.metadata.deletionTimestamp, undefined);
  });

  it('ends a pending pod at once', () => {
    const { registry, store } = aRegistry();
    store.put(pods, aPendingPod('gs-1'));
    store.put(budgets, aBudget('b', {}, full));
    evict(registry, 'arena', 'gs-1', {});
    assert.equal(store.get(pods, 'arena', 'gs-1'), undefined);
  });
});
