import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { hashOf, planReplicas } from '../../../../sandbox/kubernetes/controllers/deployment.ts';
import { rankForDeletion } from '../../../../sandbox/kubernetes/controllers/replica-set.ts';
import { aDeployment, aPendingPod, aPod, aReplicaSet } from './cluster-objects.ts';

const cost = (value: string): { annotations: Record<string, string> } => ({
  annotations: { 'controller.kubernetes.io/pod-deletion-cost': value },
});

describe('A scale-down takes', () => {
  const cases = [
    ['the pod without a node first', [aPod('a'), aPendingPod('b')], 'b'],
    [
      'the pod that is not ready, whatever its cost',
      [aPod('a', { meta: cost('-5') }), aPod('b', { ready: false, meta: cost('1000') })],
      'b',
    ],
    [
      'the ready pod with the lowest cost',
      [aPod('a', { meta: cost('10') }), aPod('b', { meta: cost('-5') }), aPod('c')],
      'b',
    ],
    ['a pod from the node that has more of them', [aPod('a', { spec: { nodeName: 'n2' } }), aPod('b'), aPod('c')], 'b'],
    ['the younger of two', [aPod('a'), aPod('b', { meta: { creationTimestamp: '2026-11-22T11:00:09Z' } })], 'b'],
  ] as const;
  for (const [title, active, first] of cases) {
    it(title, () => assert.equal(rankForDeletion(active)[0]?.metadata.name, first));
  }
});

describe('A roll-out', () => {
  it('never has more pods than allowed nor fewer available than promised, and comes to its end', () => {
    const limits = fc.record({
      replicas: fc.integer({ min: 1, max: 12 }),
      maxSurge: fc.integer({ min: 0, max: 4 }),
      maxUnavailable: fc.integer({ min: 0, max: 4 }),
    });
    fc.assert(
      fc.property(limits, ({ replicas, maxSurge, maxUnavailable }) => {
        const deployment = aDeployment(replicas, {
          type: 'RollingUpdate',
          rollingUpdate: { maxSurge, maxUnavailable },
        });
        const unavailable = maxSurge === 0 && maxUnavailable === 0 ? 1 : maxUnavailable;
        let current = aReplicaSet('new', 0);
        let old = aReplicaSet('old', replicas);
        for (let step = 0; step < 100 && (old.spec.replicas > 0 || current.spec.replicas < replicas); step++) {
          const plan = new Map(
            planReplicas(deployment, current, [old]).map(([set, count]) => [set.metadata.name, count]),
          );
          const oldNext = plan.get('old') ?? old.spec.replicas;
          const currentNext = plan.get('new') ?? current.spec.replicas;
          assert.ok(oldNext + currentNext <= replicas + maxSurge, 'not too many');
          // What is scaled up is not available yet when the other is scaled down.
          const availableNow = Math.min(oldNext, old.spec.replicas) + (current.status.availableReplicas ?? 0);
          assert.ok(availableNow >= replicas - unavailable, 'not too few');
          old = aReplicaSet('old', oldNext);
          current = aReplicaSet('new', currentNext);
        }
        assert.deepEqual([old.spec.replicas, current.spec.replicas], [0, replicas]);
      }),
    );
  });

  it('with Recreate waits until the old pods are gone', () => {
    const deployment = aDeployment(2, { type: 'Recreate' });
    const current = aReplicaSet('new', 0);
    const plan = (old: ReturnType<typeof aReplicaSet>): number[] =>
      planReplicas(deployment, current, [old]).map(([, count]) => count);
    assert.deepEqual(plan(aReplicaSet('old', 2)), [0]);
    assert.deepEqual(plan(aReplicaSet('old', 0, { replicas: 0 })), [2]);
  });

  it('gives one template one hash and another another', () => {
    const { template } = aReplicaSet('a', 1).spec;
    assert.equal(hashOf(template), hashOf(structuredClone(template)));
    assert.notEqual(hashOf(template), hashOf({ ...template, metadata: { annotations: { version: '2' } } }));
    assert.match(hashOf(template), /^[bcdfghjklmnpqrstvwxz2456789]{10}$/);
  });
});
