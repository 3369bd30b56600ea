import { setTimeout as sleep } from 'node:timers/promises';
import { isPodReady, type Pod } from '../../../../../sandbox/kubernetes/objects.ts';
import { deployments, pods } from '../../../../../sandbox/kubernetes/registry/table.ts';
import type { Scene, Stage } from './replay.ts';
import {
  answerOf,
  confirmEnd,
  createNamespace,
  exchangeOf,
  placeNode,
  playKubelet,
  takeStatus,
  writeStatus,
} from './scenes.ts';
import { eventsOf, type RecordedObject } from './transcript.ts';

const namespace = 'arena2';
const deadlineMs = 5_000;
const hash = '[bcdfghjklmnpqrstvwxz2456789]{9,10}';

async function until(what: string, isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`Not within ${deadlineMs} ms: ${what}`);
    await sleep(2);
  }
}

function podsOf(stage: Stage): Pod[] {
  return stage.server.store.list(pods, namespace);
}

/** Ready as the recording's pods are, by the status of one of them. */
async function makeReady(stage: Stage, pod: Pod, recorded: RecordedObject): Promise<void> {
  const { status } = recorded;
  await writeStatus(stage, { ...(pod as unknown as RecordedObject), ...(status === undefined ? {} : { status }) });
}

/** Plays the kubelets until nothing is left to do: bound pods become ready, terminating ones end. */
async function settle(stage: Stage, recorded: RecordedObject): Promise<void> {
  const isSettled = (): boolean =>
    podsOf(stage).every((pod) => isPodReady(pod) && pod.metadata.deletionTimestamp === undefined) &&
    stage.server.store.list(deployments, namespace).every(({ metadata, spec, status }) => {
      const counts = [status.replicas, status.updatedReplicas, status.availableReplicas];
      return status.observedGeneration === metadata.generation && counts.every((count) => count === spec.replicas);
    });
  const endMs = performance.now() + deadlineMs;
  while (!isSettled()) {
    if (performance.now() > endMs) throw new Error(`The Deployment did not settle within ${deadlineMs} ms`);
    for (const pod of podsOf(stage)) {
      if (pod.spec.nodeName === undefined) continue;
      if (pod.metadata.deletionTimestamp !== undefined) await confirmEnd(stage, pod as unknown as RecordedObject);
      else if (!isPodReady(pod)) await makeReady(stage, pod, recorded);
    }
    await sleep(2);
  }
}

const rollout: Scene = {
  file: '10-replicaset-release',
  options: { controllers: ['deployment', 'replica-set', 'scheduler', 'garbage-collector'] },
  leftOut: {
    0: 'two kubelets write in an order that is chance; the order of release and replacement has a test of its own',
  },
  generated: [new RegExp(`\\bg-${hash}(-[a-z0-9]{5})?-?`, 'g'), new RegExp(`^${hash}$`, 'g')],
  seed(stage) {
    placeNode(stage, 'n1');
    placeNode(stage, 'n2', '00000000-0000-4000-8000-000000000002');
    createNamespace(stage, namespace);
  },
  before: {
    async 2(stage) {
      await until('two pods have nodes', () => podsOf(stage).filter(({ spec }) => spec.nodeName).length === 2);
      const recorded = answerOf(stage, 2);
      const [chosen] = podsOf(stage).filter(({ spec }) => spec.nodeName === 'n1');
      if (chosen === undefined) throw new Error('No pod on n1');
      stage.learn({ name: recorded.metadata.name }, { name: chosen.metadata.name });
      await settle(stage, recorded);
    },
    async 5(stage) {
      await until('the pod is released', () =>
        podsOf(stage).some(({ metadata }) => metadata.ownerReferences === undefined),
      );
      takeStatus(stage, answerOf(stage, 5));
      await settle(stage, answerOf(stage, 2));
    },
    8: (stage) => settle(stage, answerOf(stage, 2)),
    async 11(stage) {
      await until('it is deleted', () =>
        podsOf(stage).some(({ metadata }) => metadata.deletionTimestamp !== undefined),
      );
      await settle(stage, answerOf(stage, 2));
    },
  },
};

const deployment = 'cost';

function recordedPods(stage: Stage): RecordedObject[] {
  return [0, 1, 2, 3].map((index) => answerOf(stage, index));
}

async function startFour(stage: Stage): Promise<void> {
  const recorded = recordedPods(stage);
  const {
    nodeName,
    tolerations,
    priority,
    enableServiceLinks,
    preemptionPolicy,
    serviceAccount,
    serviceAccountName,
    ...spec
  } = recorded[0]?.spec ?? {};
  const labels = { app: deployment };
  const template = { metadata: { labels }, spec };
  const body = { metadata: { name: deployment }, spec: { replicas: 4, selector: { matchLabels: labels }, template } };
  await stage.send('POST', `/apis/apps/v1/namespaces/${namespace}/deployments`, body);
  await until('four pods have nodes', () => podsOf(stage).filter((pod) => pod.spec.nodeName).length === 4);
  const uid = stage.server.store.get(deployments, namespace, deployment)?.metadata.uid;
  stage.learn({ uid: answerOf(stage, 6).metadata.uid }, { uid });
  for (const [index, pod] of podsOf(stage).entries()) {
    const was = recorded[index];
    if (was === undefined) throw new Error('More pods than in the recording');
    stage.learn({ name: was.metadata.name }, { name: pod.metadata.name });
    await makeReady(stage, pod, was);
    stage.learn({ uid: was.metadata.uid }, { uid: pod.metadata.uid });
  }
  await until('the ready ones are counted', () => {
    return stage.server.store.get(deployments, namespace, deployment)?.status.readyReplicas === 3;
  });
}

/** The kubelet of the pod that is being deleted. */
async function endPod(stage: Stage, mark: number): Promise<void> {
  await until('a pod is deleted', () => podsOf(stage).some(({ metadata }) => metadata.deletionTimestamp !== undefined));
  await playKubelet(stage, 5, mark);
  await until('it is gone', () => podsOf(stage).every(({ metadata }) => metadata.deletionTimestamp === undefined));
}

function afterEnd(stage: Stage): number {
  return eventsOf(exchangeOf(stage, 5)).findIndex(({ type }) => type === 'DELETED') + 2;
}

const scaleDown: Scene = {
  file: '18-scale-down',
  options: { controllers: ['deployment', 'replica-set', 'scheduler'] },
  generated: [new RegExp(`\\bcost-${hash}(-[a-z0-9]{5})?-?`, 'g'), new RegExp(`^${hash}$`, 'g')],
  seed(stage) {
    placeNode(stage, 'n1');
    createNamespace(stage, namespace);
  },
  before: {
    0: startFour,
    5(stage) {
      // A deletion changes no status: the first event of a pod shows what its kubelet had written by then.
      const events = eventsOf(exchangeOf(stage, 5));
      for (const { object } of [events[0], events[afterEnd(stage) - 1]].flatMap((event) => event ?? [])) {
        takeStatus(stage, object);
      }
    },
    async 7(stage) {
      await endPod(stage, 1);
      await until('the end is counted', () => {
        return stage.server.store.get(deployments, namespace, deployment)?.status.replicas === 3;
      });
    },
    8: (stage) => endPod(stage, afterEnd(stage)),
  },
};

export const workloadScenes: readonly (readonly [Scene, number])[] = [
  [rollout, 14],
  [scaleDown, 9],
];
