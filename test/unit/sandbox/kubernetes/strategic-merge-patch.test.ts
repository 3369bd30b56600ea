import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { JsonMap } from '../../../../sandbox/kubernetes/patch/merge-patch.ts';
import { strategicMergePatch } from '../../../../sandbox/kubernetes/patch/strategic-merge-patch.ts';
import { Refusal } from '../../../../sandbox/kubernetes/status-errors.ts';

const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady' };
const own = { type: 'SpotInterrupted', status: 'True' };

const cases: readonly (readonly [title: string, model: string, target: JsonMap, patch: JsonMap, result: JsonMap])[] = [
  [
    'merges the conditions of a node by their type',
    'V1Node',
    { status: { conditions: [ready, own] } },
    { status: { conditions: [{ type: 'SpotInterrupted', status: 'False' }] } },
    { status: { conditions: [ready, { type: 'SpotInterrupted', status: 'False' }] } },
  ],
  [
    'puts an item that is new before those it does not name',
    'V1Node',
    { status: { conditions: [ready] } },
    { status: { conditions: [own] } },
    { status: { conditions: [own, ready] } },
  ],
  [
    'deletes an item by its key',
    'V1Node',
    { status: { conditions: [ready, own] } },
    { status: { conditions: [{ type: 'SpotInterrupted', $patch: 'delete' }] } },
    { status: { conditions: [ready] } },
  ],
  [
    'replaces taints as a whole',
    'V1Node',
    { spec: { taints: [{ key: 'a', effect: 'NoSchedule' }] } },
    { spec: { taints: [{ key: 'b', effect: 'NoSchedule' }] } },
    { spec: { taints: [{ key: 'b', effect: 'NoSchedule' }] } },
  ],
  [
    'replaces tolerations as a whole',
    'V1Pod',
    { spec: { tolerations: [{ key: 'a' }] } },
    { spec: { tolerations: [{ key: 'b' }] } },
    { spec: { tolerations: [{ key: 'b' }] } },
  ],
  [
    'merges containers by name, and their variables by name too',
    'V1Pod',
    { spec: { containers: [{ name: 'game', image: 'a', env: [{ name: 'A', value: '1' }] }, { name: 'log' }] } },
    { spec: { containers: [{ name: 'game', env: [{ name: 'A', value: '2' }] }] } },
    { spec: { containers: [{ name: 'game', image: 'a', env: [{ name: 'A', value: '2' }] }, { name: 'log' }] } },
  ],
  [
    'merges owners by uid',
    'V1Pod',
    { metadata: { ownerReferences: [{ uid: '1', name: 'a' }] } },
    {
      metadata: {
        ownerReferences: [
          { uid: '1', $patch: 'delete' },
          { uid: '2', name: 'b' },
        ],
      },
    },
    { metadata: { ownerReferences: [{ uid: '2', name: 'b' }] } },
  ],
  [
    'takes finalizers as a set',
    'V1Pod',
    { metadata: { finalizers: ['a', 'b'] } },
    { metadata: { finalizers: ['b', 'c'] } },
    { metadata: { finalizers: ['a', 'b', 'c'] } },
  ],
  [
    'takes single values out of a set',
    'V1Pod',
    { metadata: { finalizers: ['a', 'b'] } },
    { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } },
    { metadata: { finalizers: ['b'] } },
  ],
  [
    'replaces a list that says so',
    'V1Pod',
    { spec: { containers: [{ name: 'a' }, { name: 'b' }] } },
    { spec: { containers: [{ $patch: 'replace' }, { name: 'c' }] } },
    { spec: { containers: [{ name: 'c' }] } },
  ],
  [
    'replaces a map that says so',
    'V1Node',
    { metadata: { labels: { a: '1', b: '2' } } },
    { metadata: { labels: { $patch: 'replace', c: '3' } } },
    { metadata: { labels: { c: '3' } } },
  ],
  [
    'deletes a map that says so',
    'V1Node',
    { metadata: { labels: { a: '1' } } },
    { metadata: { labels: { $patch: 'delete' } } },
    { metadata: {} },
  ],
  [
    'removes by null, also what is not there',
    'V1Node',
    { metadata: { labels: { a: '1' } } },
    { metadata: { labels: { a: null, b: null }, annotations: { c: null } } },
    { metadata: { labels: {}, annotations: {} } },
  ],
  [
    'keeps to the order that it gives',
    'V1Pod',
    { spec: { containers: [{ name: 'a' }, { name: 'b' }] } },
    {
      spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }], containers: [{ name: 'a', image: 'x' }] },
    },
    { spec: { containers: [{ name: 'b' }, { name: 'a', image: 'x' }] } },
  ],
  [
    'drops the keys of a map that it does not retain',
    'V1Deployment',
    { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } },
    { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } },
    { spec: { strategy: { type: 'Recreate' } } },
  ],
  [
    'replaces the selector of a budget',
    'V1PodDisruptionBudget',
    { spec: { selector: { matchLabels: { a: '1' } } } },
    { spec: { selector: { matchLabels: { b: '2' } } } },
    { spec: { selector: { matchLabels: { b: '2' } } } },
  ],
];

describe('A strategic merge patch', () => {
  for (const [title, model, target, patch, result] of cases) {
    it(title, () => {
      const before = structuredClone([target, patch]);
      assert.deepEqual(strategicMergePatch(model, target, patch), result);
      assert.deepEqual([target, patch], before);
    });
  }

  it('refuses an item without its merge key with 500', () => {
    const patch = { status: { conditions: [{ status: 'True', reason: 'NoType' }] } };
    assert.throws(
      () => strategicMergePatch('V1Node', {}, patch),
      (error) =>
        error instanceof Refusal &&
        error.status.code === 500 &&
        error.status.message === 'map: map[reason:NoType status:True] does not contain declared merge key: type',
    );
  });

  it('applied twice does no more than once', () => {
    const condition = fc.record({ type: fc.constantFrom('A', 'B', 'C'), status: fc.constantFrom('True', 'False') });
    const conditions = fc.uniqueArray(condition, { selector: ({ type }) => type });
    fc.assert(
      fc.property(conditions, conditions, (target, patched) => {
        const patch = { status: { conditions: patched } };
        const once = strategicMergePatch('V1Pod', { status: { conditions: target } }, patch);
        assert.deepEqual(strategicMergePatch('V1Pod', once, patch), once);
        const { conditions: merged } = once['status'] as { conditions: { type: string }[] };
        assert.deepEqual(
          new Set(merged.map(({ type }) => type)),
          new Set([...target, ...patched].map(({ type }) => type)),
        );
      }),
    );
  });
});
