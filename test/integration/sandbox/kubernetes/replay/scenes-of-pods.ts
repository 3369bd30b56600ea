import { budgetStatus } from '../../../../../sandbox/kubernetes/controllers/disruption.ts';
import { budgets, deployments, replicaSets } from '../../../../../sandbox/kubernetes/registry/table.ts';
import type { Scene, Stage } from './replay.ts';
import {
  afterDeletionBegan,
  answerOf,
  asSent,
  budget,
  changeBudget,
  changePod,
  confirmEnd,
  createNamespace,
  exchangeOf,
  place,
  placeNode,
  playKubelet,
  takeStatus,
  twin,
  undeleted,
  writeStatus,
} from './scenes.ts';
import { eventsOf, type RecordedObject } from './transcript.ts';

const merge = 'application/merge-patch+json';

function uidOf(number: number): string {
  return `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
}

/** The disruption controller's one look at a budget: the scenes say when it comes. */
function sync(stage: Stage, name: string): void {
  const { store, registry } = stage.server;
  changeBudget(stage, name, (one) => ({ ...one, status: budgetStatus(store, one, registry.now()) }));
}

/** The two pods of the recording's Deployment mu, with their owners. */
function placeOwned(stage: Stage, pod: RecordedObject): void {
  const owner = (kind: string, name: string, uid: string): object => ({
    ownerReferences: [{ apiVersion: 'apps/v1', kind, name, uid, controller: true, blockOwnerDeletion: true }],
  });
  const spec = { replicas: 2, selector: { matchLabels: { app: 'mu' } }, template: { spec: { containers: [] } } };
  const metadata = { namespace: 'arena', resourceVersion: '', creationTimestamp: '2026-11-22T11:31:05Z' };
  stage.server.store.put(deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { ...metadata, name: 'mu', uid: uidOf(100) },
    spec: { ...spec, strategy: {} },
    status: {},
  });
  stage.server.store.put(replicaSets, {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { ...metadata, name: 'mu-df7966758', uid: uidOf(101), ...owner('Deployment', 'mu', uidOf(100)) },
    spec,
    status: { replicas: 2 },
  });
  for (const [index, suffix] of ['5cg6g', 'c8tgn'].entries()) {
    const one = twin(pod, `mu-df7966758-${suffix}`, uidOf(102 + index));
    const controlled = owner('ReplicaSet', 'mu-df7966758', uidOf(101));
    place(stage, { ...one, metadata: { ...one.metadata, ...controlled, labels: { app: 'mu' } } });
  }
}

function seedEvictions(stage: Stage): void {
  createNamespace(stage, 'arena');
  const pod = undeleted(answerOf(stage, 1));
  place(stage, pod);
  for (const index of [4, 9]) place(stage, undeleted(answerOf(stage, index)));
  place(stage, undeleted(answerOf(stage, 10)));
  place(stage, undeleted(answerOf(stage, 20)));
  place(stage, twin(pod, 'uid', '09f72936-ebc0-49ad-9d75-3bb9461b3501'));
  for (const [index, name] of ['min', 'two', 'late', 'pending', 'done', 'unready'].entries()) {
    place(stage, twin(pod, name, uidOf(index)));
  }
  placeOwned(stage, pod);
  changePod(stage, 'arena', 'pending', ({ spec: { nodeName, ...spec }, ...rest }) => ({
    ...rest,
    spec,
    status: { phase: 'Pending' },
  }));
  changePod(stage, 'arena', 'done', (one) => ({ ...one, status: { ...one.status, phase: 'Succeeded' } }));
  changePod(stage, 'arena', 'unready', (one) => ({
    ...one,
    status: { ...one.status, conditions: [{ type: 'Ready', status: 'False' }] },
  }));
  const mu = answerOf(stage, 13);
  const bare = answerOf(stage, 17);
  for (const one of [mu, bare]) place(stage, { ...one, status: { disruptionsAllowed: 9 } });
  for (const [name, app, spec] of [
    ['min', 'min', { minAvailable: 1 }],
    ['two-a', 'two', { minAvailable: 0 }],
    ['two-b', 'two', { minAvailable: 0 }],
    ['pending', 'pending', { minAvailable: 1 }],
    ['done', 'done', { minAvailable: 1 }],
    ['unready', 'unready', { minAvailable: 1 }],
  ] as const) {
    place(stage, budget(name, app, spec));
  }
  for (const name of ['mu', 'budget', 'min', 'two-a', 'two-b', 'pending', 'done', 'unready']) sync(stage, name);
}

/** Enacts what a recorded watch shows, in its order: clients, scheduler and kubelet. */
async function enact(stage: Stage, watch: number): Promise<void> {
  const events = eventsOf(exchangeOf(stage, watch));
  for (const [index, { type, object }] of events.entries()) {
    if (type === 'BOOKMARK' || type === 'DELETED') continue;
    const { name, namespace } = object.metadata;
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const earlier = events.slice(0, index).findLast((event) => event.object.metadata.name === name)?.object;
    if (type === 'ADDED') {
      const wasBound = object.status?.['conditions'] !== undefined;
      const sent = asSent(object) as { spec: object };
      const nodeName = object.spec?.['nodeName'];
      await stage.send('POST', path, wasBound ? sent : { ...sent, spec: { ...sent.spec, nodeName } });
      if (wasBound) await stage.send('POST', `${path}/${name}/binding`, { target: { kind: 'Node', name: nodeName } });
      stage.learn(object, (await stage.send('GET', `${path}/${name}`)).body);
    } else if (object.metadata['deletionGracePeriodSeconds'] === 0) {
      await confirmEnd(stage, object);
    } else if (earlier?.metadata['deletionTimestamp'] !== object.metadata['deletionTimestamp']) {
      stage.learn(object, (await stage.send('DELETE', `${path}/${name}`)).body);
    } else {
      await writeStatus(stage, object);
    }
  }
}

async function patchB(stage: Stage, metadata: object): Promise<void> {
  await stage.send('PATCH', '/api/v1/namespaces/arena/pods/b', { metadata }, merge);
}

async function loseAndRegainLabel(stage: Stage): Promise<void> {
  await patchB(stage, { labels: { app: 'other' } });
  // Between the two the kubelet wrote: the replay below shows it.
  const [, written] = eventsOf(exchangeOf(stage, 7)).filter(({ object }) => labelOf(object) === 'other');
  if (written !== undefined) await writeStatus(stage, written.object);
  await patchB(stage, { labels: { app: 'game' } });
}

function labelOf(object: RecordedObject): string | undefined {
  return (object.metadata['labels'] as Record<string, string> | undefined)?.['app'];
}

async function firstPage(stage: Stage): Promise<void> {
  const recorded = new URLSearchParams(exchangeOf(stage, 8).request.path.split('?')[1]).get('continue');
  const page = (await stage.send('GET', '/api/v1/namespaces?limit=1')).body as { metadata: { continue: string } };
  stage.learn({ continue: recorded }, { continue: page.metadata.continue });
}

export const podScenes: readonly (readonly [Scene, number])[] = [
  [
    {
      file: '04-pods-list',
      options: { controllers: [] },
      seed(stage) {
        createNamespace(stage, 'arena');
        const { items } = answerOf(stage, 5) as unknown as { items: RecordedObject[] };
        for (const item of items) place(stage, { apiVersion: 'v1', kind: 'Pod', ...item });
      },
    },
    18,
  ],
  [
    {
      file: '05-pods-watch',
      options: { controllers: [], bookmarkPeriodMs: 100 },
      seed(stage) {
        for (const name of ['arena', 'arena2']) createNamespace(stage, name);
        stage.server.store.forgetHistory();
      },
      endedHere: [0, 5],
      before: {
        1: (stage) => enact(stage, 0),
        5: (stage) => stage.finishWatches(),
        6: loseAndRegainLabel,
        async 7(stage) {
          await stage.finishWatches();
          for (const n of ['0', '1', '2']) await patchB(stage, { annotations: { n } });
        },
        8: firstPage,
      },
    },
    15,
  ],
  [
    {
      file: '06-pod-eviction',
      options: { controllers: [] },
      seed: seedEvictions,
      before: {
        15(stage) {
          changeBudget(stage, 'mu', (one) => ({ ...one, spec: { ...one.spec, maxUnavailable: 1 } }));
          sync(stage, 'mu');
        },
        16: (stage) => sync(stage, 'mu'),
        23(stage) {
          place(stage, { ...budget('late', 'late', { minAvailable: 0 }) });
          changeBudget(stage, 'late', (one) => ({ ...one, metadata: { ...one.metadata, generation: 2 } }));
          stage.server.registry.create(budgets, {
            apiVersion: 'policy/v1',
            kind: 'PodDisruptionBudget',
            metadata: { name: 'new', namespace: 'arena' },
            spec: { minAvailable: 0, selector: { matchLabels: { app: 'dry' } } },
          });
        },
        25: (stage) => sync(stage, 'late'),
        26: (stage) => sync(stage, 'late'),
        32(stage) {
          const policy = { unhealthyPodEvictionPolicy: 'AlwaysAllow' } as const;
          changeBudget(stage, 'unready', (one) => ({ ...one, spec: { ...one.spec, ...policy } }));
        },
        34(stage) {
          stage.server.registry.delete(budgets, 'arena', 'new');
        },
      },
    },
    37,
  ],
  [
    {
      file: '07-pod-delete',
      options: { controllers: [] },
      seed(stage) {
        createNamespace(stage, 'arena');
        for (const index of [2, 3, 4, 5, 6, 10, 12, 14, 15]) place(stage, undeleted(answerOf(stage, index)));
      },
      before: {
        7: (stage) => takeStatus(stage, answerOf(stage, 7)),
        18: (stage) =>
          changePod(stage, 'arena', 'one', (pod) => ({
            ...pod,
            metadata: { ...pod.metadata, finalizers: ['example.com/hold'] },
          })),
        20: (stage) => takeStatus(stage, answerOf(stage, 20)),
      },
    },
    22,
  ],
  [
    {
      file: '08-pod-life',
      options: { controllers: ['scheduler'] },
      seed(stage) {
        placeNode(stage, 'n1');
        createNamespace(stage, 'arena2');
      },
      before: Object.fromEntries(
        [0, 4, 8].flatMap((watch) => [
          [watch + 2, (stage: Stage) => playKubelet(stage, watch, 2)],
          [watch + 3, (stage: Stage) => playKubelet(stage, watch, afterDeletionBegan(stage, watch))],
        ]),
      ),
    },
    12,
  ],
];
