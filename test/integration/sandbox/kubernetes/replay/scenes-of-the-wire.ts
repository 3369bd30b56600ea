import assert from 'node:assert/strict';
import { pods, serviceAccounts } from '../../../../../sandbox/kubernetes/registry/table.ts';
import { adminToken, type Scene, type Stage } from './replay.ts';
import { answerOf, createNamespace, place, placeAgent, placeNode } from './scenes.ts';
import type { RecordedObject, RecordedRequest } from './transcript.ts';

function createPod(stage: Stage, name: string, serviceAccountName = 'default'): void {
  stage.server.registry.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'arena3' },
    spec: { containers: [{ name: 'game', image: 'demo:2' }], nodeName: 'n1', serviceAccountName },
  });
}

const apiAudience = 'https://kubernetes.default.svc';

/** A token of arena3/agent, asked for as a kubelet would. */
async function tokenFor(stage: Stage, audience: string, pod?: string): Promise<string> {
  const bound = pod === undefined ? {} : { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: pod } };
  const path = '/api/v1/namespaces/arena3/serviceaccounts/agent/token';
  const reply = await fetch(`${stage.server.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ spec: { audiences: [audience], ...bound } }),
  });
  return ((await reply.json()) as { status: { token: string } }).status.token;
}

function tokenOf(stage: Stage, exchange: number): string {
  return (stage.answers.get(exchange) as { status: { token: string } }).status.token;
}

const tokens = new WeakMap<object, Record<string, string>>();

function reviewing(choose: (stage: Stage) => string) {
  return (request: RecordedRequest, stage: Stage): RecordedRequest => {
    const body = request.body as { spec: object };
    return { ...request, body: { ...body, spec: { ...body.spec, token: choose(stage) } } };
  };
}

function kept(name: 'api' | 'game') {
  return (stage: Stage): string => tokens.get(stage)?.[name] ?? '';
}

async function race(stage: Stage): Promise<void> {
  const path = '/api/v1/namespaces/arena3/configmaps/cell';
  const { metadata } = (await stage.send('GET', path)).body as RecordedObject;
  const replies = await Promise.all(
    Array.from({ length: 12 }, (_, racer) =>
      stage.send('PUT', path, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'cell', resourceVersion: metadata['resourceVersion'] },
        data: { holder: `racer${racer}` },
      }),
    ),
  );
  assert.deepEqual(replies.map(({ status }) => status).sort(), [200, ...Array.from({ length: 11 }, () => 409)]);
  // Which of them wins is chance.
  await stage.send('PATCH', path, { data: { holder: 'racer0' } }, 'application/merge-patch+json');
}

const suffix = '[bcdfghjklmnpqrstvwxz2456789]{5}';

export const wireScenes: readonly (readonly [Scene, number])[] = [
  [
    {
      file: '11-events',
      seed(stage) {
        placeNode(stage, 'n1');
        createNamespace(stage, 'arena3');
      },
      before: {
        20(stage) {
          const { items } = answerOf(stage, 20) as unknown as { items: RecordedObject[] };
          const own = [4, 10].map((index) => answerOf(stage, index).metadata.name);
          const others = items.filter(({ metadata }) => !own.includes(metadata.name));
          for (const item of others) place(stage, { apiVersion: 'v1', kind: 'Event', ...item });
        },
      },
      generated: [new RegExp(`\\b(n1|gs-1)[.-]${suffix}\\b`, 'g')],
    },
    21,
  ],
  [
    {
      file: '12-access-and-tokens',
      seed(stage) {
        placeAgent(stage);
        placeNode(stage, 'n1');
        createPod(stage, 'holder', 'agent');
        const { uid } = stage.server.registry.get(pods, 'arena3', 'holder').metadata;
        const account = stage.server.registry.get(serviceAccounts, 'arena3', 'agent');
        const recorded = answerOf(stage, 0).metadata.uid;
        stage.learn({ uid: recorded }, { uid: account.metadata.uid });
        stage.learn({ uid: 'f059d6a6-9995-4fe1-8c7e-5619b049cbb5' }, { uid });
      },
      before: {
        async 8(stage) {
          const api = await tokenFor(stage, apiAudience, 'holder');
          tokens.set(stage, { api, game: await tokenFor(stage, 'game-api', 'holder') });
        },
        23(stage) {
          stage.server.registry.delete(pods, 'arena3', 'holder', { gracePeriodSeconds: 0 });
        },
      },
      rewrite: {
        8: reviewing(kept('api')),
        9: reviewing(kept('game')),
        10: reviewing(kept('game')),
        11: reviewing(kept('api')),
        12: reviewing((stage) => tokenOf(stage, 0)),
        14: reviewing((stage) => {
          const [head, body, signature = ''] = kept('api')(stage).split('.');
          return [head, body, [...signature].reverse().join('')].join('.');
        }),
        16: (request, stage) => ({ ...request, as: `Bearer ${kept('game')(stage)}` }),
        18: reviewing((stage) => tokenOf(stage, 17)),
        23: reviewing(kept('game')),
      },
    },
    24,
  ],
  [
    {
      file: '13-errors-and-health',
      seed(stage) {
        placeAgent(stage);
        place(stage, answerOf(stage, 32));
        createPod(stage, 'gs-1');
      },
      statusOnly: {
        43: 'the list of checks differs between builds',
        46: 'the list of checks differs between builds',
      },
    },
    47,
  ],
  [
    {
      file: '14-leases',
      seed(stage) {
        createNamespace(stage, 'arena3');
      },
      before: { 14: (stage) => place(stage, answerOf(stage, 14)) },
    },
    15,
  ],
  [
    {
      file: '15-configmap-compare-and-swap',
      seed: (stage) => createNamespace(stage, 'arena3'),
      before: { 6: race },
    },
    12,
  ],
];
