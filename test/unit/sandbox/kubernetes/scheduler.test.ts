import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chooseNode, isTolerated } from '../../../../sandbox/kubernetes/controllers/scheduler.ts';
import type { Node, Pod, Taint, Toleration } from '../../../../sandbox/kubernetes/objects.ts';
import { aNode, aPendingPod, aPod } from './cluster-objects.ts';

const noSchedule: Taint = { key: 'spotable.dev/interruption', value: 'spot', effect: 'NoSchedule' };
const on = (node: string, name: string): Pod => aPod(name, { spec: { nodeName: node } });
const port = (hostPort: number): Partial<Pod['spec']> => ({
  containers: [{ name: 'game', image: 'demo:1', ports: [{ containerPort: hostPort, hostPort }] }],
});

const cases: readonly (readonly [
  title: string,
  pod: Pod,
  candidates: Node[],
  placed: Pod[],
  chosen: string | undefined,
])[] = [
  ['takes the node with the fewest pods', aPendingPod('p'), [aNode('n1'), aNode('n2')], [on('n1', 'a')], 'n2'],
  ['takes the first of equals', aPendingPod('p'), [aNode('n1'), aNode('n2')], [], 'n1'],
  [
    'passes over a cordoned node',
    aPendingPod('p'),
    [aNode('n1', { unschedulable: true }), aNode('n2')],
    [on('n2', 'a')],
    'n2',
  ],
  [
    'passes over a tainted node',
    aPendingPod('p'),
    [aNode('n1', { taints: [noSchedule] }), aNode('n2')],
    [on('n2', 'a')],
    'n2',
  ],
  [
    'takes a tainted node that the pod tolerates',
    aPendingPod('p', { spec: { tolerations: [{ operator: 'Exists' }] } }),
    [aNode('n1', { taints: [noSchedule] })],
    [],
    'n1',
  ],
  [
    'passes over a node that is not ready',
    aPendingPod('p'),
    [aNode('n1', {}, { conditions: [{ type: 'Ready', status: 'Unknown' }] })],
    [],
    undefined,
  ],
  [
    'passes over a full node',
    aPendingPod('p'),
    [aNode('n1', {}, { allocatable: { pods: '1' } })],
    [on('n1', 'a')],
    undefined,
  ],
  [
    'keeps to the nodeSelector',
    aPendingPod('p', { spec: { nodeSelector: { 'kubernetes.io/hostname': 'n2' } } }),
    [aNode('n1'), aNode('n2')],
    [on('n2', 'a')],
    'n2',
  ],
  [
    'keeps two pods with one host port apart',
    aPendingPod('p', { spec: port(7000) }),
    [aNode('n1'), aNode('n2')],
    [aPod('a', { spec: port(7000) }), on('n2', 'b'), on('n2', 'c')],
    'n2',
  ],
  ['finds none where there is none', aPendingPod('p'), [], [], undefined],
];

const tolerations: readonly (readonly [toleration: Toleration, tolerated: boolean])[] = [
  [{ key: noSchedule.key, operator: 'Exists' }, true],
  [{ key: noSchedule.key, value: 'spot', effect: 'NoSchedule' }, true],
  [{ key: noSchedule.key, value: 'other' }, false],
  [{ key: noSchedule.key, operator: 'Exists', effect: 'NoExecute' }, false],
  [{ key: 'other', operator: 'Exists' }, false],
  [{ operator: 'Exists' }, true],
];

describe('The scheduler', () => {
  for (const [title, pod, candidates, placed, chosen] of cases) {
    it(title, () => assert.equal(chooseNode(pod, candidates, placed)?.metadata.name, chosen));
  }

  for (const [toleration, tolerated] of tolerations) {
    it(`finds the taint ${tolerated ? '' : 'not '}tolerated by ${JSON.stringify(toleration)}`, () => {
      assert.equal(isTolerated(noSchedule, [toleration]), tolerated);
    });
  }
});
