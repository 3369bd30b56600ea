import { setTimeout as sleep } from 'node:timers/promises';
import { nodes } from '../../../../../sandbox/kubernetes/registry/table.ts';
import type { Scene, Stage } from './replay.ts';
import { answerOf, place } from './scenes.ts';
import type { RecordedObject } from './transcript.ts';

const deadlineMs = 2_000;

/** The node lifecycle controller comes a moment after the cordon. */
async function waitForTaint(stage: Stage): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (stage.server.registry.get(nodes, undefined, 'n1').spec.taints === undefined) {
    if (performance.now() > endMs) throw new Error('The cordoned node got no taint');
    await sleep(2);
  }
}

function withoutTaints(node: RecordedObject): RecordedObject {
  return { ...node, spec: {} };
}

export const nodeScenes: readonly (readonly [Scene, number])[] = [
  [
    {
      file: '01-node-cordon',
      options: { controllers: ['unschedulable-taint'] },
      seed: (stage) => place(stage, answerOf(stage, 0)),
      before: { 11: waitForTaint },
    },
    12,
  ],
  [
    {
      file: '02-node-taints',
      options: { controllers: ['unschedulable-taint'] },
      seed: (stage) => place(stage, withoutTaints(answerOf(stage, 0))),
      before: {
        16: async (stage) => {
          const cordon = { spec: { unschedulable: true } };
          await stage.send('PATCH', '/api/v1/nodes/n1', cordon, 'application/merge-patch+json');
          await waitForTaint(stage);
        },
      },
    },
    19,
  ],
  [
    {
      file: '03-node-metadata-and-conditions',
      options: { controllers: [] },
      seed: (stage) => place(stage, answerOf(stage, 1)),
    },
    13,
  ],
];
