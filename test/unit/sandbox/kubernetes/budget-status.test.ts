import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { budgetStatus } from '../../../../sandbox/kubernetes/controllers/disruption.ts';
import type { Pod, PodDisruptionBudget } from '../../../../sandbox/kubernetes/objects.ts';
import { pods, replicaSets } from '../../../../sandbox/kubernetes/registry/table.ts';
import { Store } from '../../../../sandbox/kubernetes/storage/store.ts';
import { aBudget, aPod, aReplicaSet, startMs } from './cluster-objects.ts';

const owned: Partial<Pod['metadata']> = {
  ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'gs', uid: 'uid-gs', controller: true }],
};
const four = ['a', 'b', 'c', 'd'].map((name) => aPod(name, { meta: owned }));
const going = { deletionTimestamp: '2026-11-22T11:00:30Z', deletionGracePeriodSeconds: 30 };

type Spec = PodDisruptionBudget['spec'];
type Counts = readonly [allowed: number, healthy: number, desired: number, expected: number];

const cases: readonly (readonly [title: string, spec: Spec, covered: readonly Pod[], counts: Counts])[] = [
  ['minAvailable 3 of 4', { minAvailable: 3 }, four, [1, 4, 3, 4]],
  ['minAvailable 50% of 4', { minAvailable: '50%' }, four, [2, 4, 2, 4]],
  ['minAvailable 51% of 4, rounded up', { minAvailable: '51%' }, four, [1, 4, 3, 4]],
  ['maxUnavailable 1 of 4', { maxUnavailable: 1 }, four, [1, 4, 3, 4]],
  ['maxUnavailable 0', { maxUnavailable: 0 }, four, [0, 4, 4, 4]],
  ['maxUnavailable 26% of 4, rounded up', { maxUnavailable: '26%' }, four, [2, 4, 2, 4]],
  ['maxUnavailable over pods that nobody controls', { maxUnavailable: 1 }, [aPod('a')], [0, 1, 0, 0]],
  ['a pod that is not ready', { minAvailable: 1 }, [aPod('a'), aPod('b', { ready: false })], [0, 1, 1, 2]],
  ['a pod that terminates', { minAvailable: 1 }, [aPod('a'), aPod('b', { meta: going })], [0, 1, 1, 2]],
  ['no pods at all', { minAvailable: 0 }, [], [0, 0, 0, 0]],
];

function count(budget: PodDisruptionBudget, covered: readonly Pod[]): PodDisruptionBudget['status'] {
  const store = new Store();
  store.put(replicaSets, aReplicaSet('gs', 4));
  for (const pod of covered) store.put(pods, pod);
  return budgetStatus(store, budget, startMs);
}

describe('The status of a budget counts', () => {
  for (const [title, spec, covered, [allowed, healthy, desired, expected]] of cases) {
    it(title, () => {
      const status = count(aBudget('b', spec), covered);
      const { disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods } = status;
      assert.deepEqual(
        [disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods],
        [allowed, healthy, desired, expected],
      );
      assert.equal(status.conditions?.[0]?.status, allowed > 0 ? 'True' : 'False');
    });
  }

  it('a granted eviction against it until the pod goes, for two minutes at most', () => {
    const granted = (at: string): PodDisruptionBudget =>
      aBudget('b', { minAvailable: 1 }, { disruptedPods: { a: at } });
    const covered = [aPod('a'), aPod('b')];
    assert.equal(count(granted('2026-11-22T10:59:00Z'), covered).disruptionsAllowed, 0);
    assert.equal(count(granted('2026-11-22T10:57:59Z'), covered).disruptionsAllowed, 1);
    assert.equal(count(granted('2026-11-22T10:59:00Z'), [aPod('b')]).disruptedPods, undefined);
  });
});
