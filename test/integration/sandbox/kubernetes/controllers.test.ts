import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startApiServer } from '../../../../sandbox/kubernetes/api-server.ts';
import { conditionOf, type Deployment, type Pod } from '../../../../sandbox/kubernetes/objects.ts';
import type { Draft } from '../../../../sandbox/kubernetes/registry/registry.ts';
import {
  budgets,
  deployments,
  namespaces,
  nodes,
  pods,
  replicaSets,
  serviceAccounts,
} from '../../../../sandbox/kubernetes/registry/table.ts';
import { createNamespace, createNode, createPod, eventually, makeReady, runKubelets, send } from './double.ts';

type Server = Awaited<ReturnType<typeof startApiServer>>;

function deploymentOf(replicas: number): Draft<Deployment> {
  const labels = { app: 'gs' };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'gs', namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'game', image: 'demo:1' }] } },
      strategy: {},
    },
  };
}

const running = (server: Server): Pod[] =>
  server.store
    .list(pods, 'default')
    .filter(({ metadata, status }) => metadata.deletionTimestamp === undefined && status.phase === 'Running');

describe('The controllers', () => {
  it('make a Deployment run, spread over the nodes', async () => {
    await using server = await startApiServer();
    runKubelets(server);
    for (const name of ['n1', 'n2']) createNode(server, name);
    server.registry.create(deployments, deploymentOf(4));
    await eventually('four pods', () => running(server).length === 4);
    const placed = running(server).map(({ spec }) => spec.nodeName);
    assert.deepEqual(placed.sort(), ['n1', 'n1', 'n2', 'n2']);
    const status = await eventually('the status', () => {
      const { status } = server.registry.get(deployments, 'default', 'gs');
      return status.availableReplicas === 4 && status;
    });
    assert.deepEqual([status.replicas, status.updatedReplicas, status.unavailableReplicas], [4, 4, undefined]);
  });

  it('replace an evicted pod while it still terminates, on a node that takes pods', async () => {
    await using server = await startApiServer();
    for (const name of ['n1', 'n2']) createNode(server, name);
    server.registry.create(deployments, deploymentOf(1));
    const first = await eventually('the pod has a node', () =>
      server.store.list(pods, 'default').find(({ spec }) => spec.nodeName),
    );
    makeReady(server, first);
    const node = `/api/v1/nodes/${first.spec.nodeName}`;
    await send(server, 'PATCH', node, {
      body: { spec: { unschedulable: true } },
      contentType: 'application/merge-patch+json',
    });
    const { name } = first.metadata;
    await send(server, 'POST', `/api/v1/namespaces/default/pods/${name}/eviction`, { body: { metadata: { name } } });
    const second = await eventually('the replacement', () =>
      server.store.list(pods, 'default').find(({ metadata, spec }) => metadata.name !== name && spec.nodeName),
    );
    assert.notEqual(second.spec.nodeName, first.spec.nodeName);
    assert.notEqual(server.store.get(pods, 'default', name)?.metadata.deletionTimestamp, undefined);
  });

  it('release a pod whose label left the selector, then replace it, in this order', async () => {
    await using server = await startApiServer();
    runKubelets(server);
    createNode(server, 'n1');
    server.registry.create(deployments, deploymentOf(1));
    const [pod] = await eventually('the pod', () => running(server).length === 1 && running(server));
    assert.ok(pod);
    const seen: string[] = [];
    server.store.subscribe(pods, ({ type, object }) => {
      const isOwned = object.metadata.ownerReferences !== undefined;
      seen.push(`${type} ${object.metadata.uid === pod.metadata.uid ? 'old' : 'new'} ${isOwned ? 'owned' : 'free'}`);
    });
    const path = `/api/v1/namespaces/default/pods/${pod.metadata.name}`;
    const reply = await send(server, 'PATCH', path, {
      body: { metadata: { labels: { app: 'taken' } } },
      contentType: 'application/merge-patch+json',
    });
    assert.notEqual((reply.body['metadata'] as Pod['metadata']).ownerReferences, undefined);
    await eventually('the replacement', () => seen.some((event) => event.startsWith('ADDED')));
    assert.deepEqual(seen.slice(0, 3), ['MODIFIED old owned', 'MODIFIED old free', 'ADDED new owned']);
  });

  it('roll a new template out and never fall below what it promises', async () => {
    await using server = await startApiServer();
    runKubelets(server);
    createNode(server, 'n1');
    server.registry.create(deployments, deploymentOf(4));
    await eventually('four pods', () => running(server).length === 4);
    let fewest = 4;
    server.store.subscribe(pods, () => {
      fewest = Math.min(fewest, running(server).length);
    });
    const template = { metadata: { annotations: { version: '2' } } };
    await send(server, 'PATCH', '/apis/apps/v1/namespaces/default/deployments/gs', {
      body: { spec: { template } },
      contentType: 'application/merge-patch+json',
    });
    await eventually('all four are new', () => {
      const fresh = running(server).filter(({ metadata }) => metadata.annotations?.['version'] === '2');
      return fresh.length === 4 && running(server).length === 4;
    });
    assert.ok(fewest >= 3, `${fewest} of 4 were running at the worst`);
  });

  it('delete what a deleted Deployment owned, unless it is to be orphaned', async () => {
    for (const [policy, left] of [
      ['Background', 0],
      ['Orphan', 1],
    ] as const) {
      await using server = await startApiServer();
      runKubelets(server);
      createNode(server, 'n1');
      server.registry.create(deployments, deploymentOf(1));
      await eventually('the pod', () => running(server).length === 1);
      await send(server, 'DELETE', `/apis/apps/v1/namespaces/default/deployments/gs?propagationPolicy=${policy}`);
      createPod(server, 'last', { nodeName: 'n1' });
      await eventually(
        'everything settled',
        () => server.store.list(replicaSets).length === left && running(server).length === left + 1,
      );
    }
  });

  it('count a budget and let exactly as many evictions through', async () => {
    await using server = await startApiServer();
    createNode(server, 'n1');
    for (const name of ['a', 'b', 'c']) {
      makeReady(server, createPod(server, name, { nodeName: 'n1' }));
    }
    server.registry.create(budgets, {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'budget', namespace: 'default' },
      spec: { minAvailable: 2, selector: {} },
    });
    await eventually(
      'the budget is counted',
      () => server.registry.get(budgets, 'default', 'budget').status.disruptionsAllowed === 1,
    );
    const statuses = await Promise.all(
      ['a', 'b', 'c'].map(
        async (name) =>
          (
            await send(server, 'POST', `/api/v1/namespaces/default/pods/${name}/eviction`, {
              body: { metadata: { name } },
            })
          ).status,
      ),
    );
    assert.deepEqual(statuses.sort(), [201, 429, 429]);
  });

  it('taint a cordoned node after the answer, again when a client overwrites it, and untaint it', async () => {
    await using server = await startApiServer();
    createNode(server, 'n1');
    const keys = (): string[] => (server.registry.get(nodes, undefined, 'n1').spec.taints ?? []).map(({ key }) => key);
    const change = async (spec: object): Promise<unknown> =>
      (await send(server, 'PATCH', '/api/v1/nodes/n1', { body: { spec }, contentType: 'application/merge-patch+json' }))
        .body['spec'];
    assert.deepEqual(await change({ unschedulable: true }), { unschedulable: true });
    await eventually('the taint', () => keys().length === 1);
    await change({ taints: [{ key: 'own', effect: 'NoSchedule' }] });
    await eventually('both taints', () => keys().length === 2);
    await change({ unschedulable: null });
    await eventually('only the own one', () => keys().join() === 'own');
  });

  it('say of a pod that fits nowhere why, and place it once it does', async () => {
    await using server = await startApiServer();
    createPod(server, 'a');
    await eventually(
      'the reason',
      () =>
        conditionOf(server.registry.get(pods, 'default', 'a').status.conditions, 'PodScheduled')?.reason ===
        'Unschedulable',
    );
    createNode(server, 'n1');
    await eventually('the node', () => server.registry.get(pods, 'default', 'a').spec.nodeName === 'n1');
  });

  it('end the pods of a node that is gone, as failed, and no others', async () => {
    await using server = await startApiServer({ podGarbageMs: 20 });
    for (const name of ['n1', 'n2']) {
      createNode(server, name);
      createPod(server, `on-${name}`, { nodeName: name });
    }
    const states: string[] = [];
    server.store.subscribe(pods, ({ type, object }) => {
      const { conditions, phase } = (object as Pod).status;
      states.push(`${type} ${object.metadata.name} ${phase} ${conditionOf(conditions, 'DisruptionTarget')?.reason}`);
    });
    await send(server, 'DELETE', '/api/v1/nodes/n1');
    await eventually('the pod is gone', () => server.store.get(pods, 'default', 'on-n1') === undefined);
    assert.deepEqual(
      [...new Set(states)],
      ['MODIFIED on-n1 Failed DeletionByPodGC', 'DELETED on-n1 Failed DeletionByPodGC'],
    );
    assert.notEqual(server.store.get(pods, 'default', 'on-n2'), undefined);
  });

  it('empty a deleted namespace, take nothing new into it, and let it go', async () => {
    await using server = await startApiServer();
    createNamespace(server, 'arena');
    createNode(server, 'n1');
    await eventually('its service account', () => server.store.get(serviceAccounts, 'arena', 'default'));
    const pod = {
      metadata: { name: 'a', namespace: 'arena' },
      spec: { nodeName: 'n1', containers: [{ name: 'a', image: 'b:1' }] },
    };
    await send(server, 'POST', '/api/v1/namespaces/arena/pods', { body: pod });
    await send(server, 'DELETE', '/api/v1/namespaces/arena');
    const refused = await send(server, 'POST', '/api/v1/namespaces/arena/configmaps', {
      body: { metadata: { name: 'late' } },
    });
    assert.equal(refused.status, 403);
    assert.match(JSON.stringify(refused.body), /NamespaceTerminating/);
    await eventually('the pod is told to go', () => server.store.get(pods, 'arena', 'a')?.metadata.deletionTimestamp);
    assert.equal(server.store.get(namespaces, undefined, 'arena')?.status.phase, 'Terminating');
    await send(server, 'DELETE', '/api/v1/namespaces/arena/pods/a?gracePeriodSeconds=0');
    await eventually('the namespace is gone', () => server.store.get(namespaces, undefined, 'arena') === undefined);
  });

  it('come to rest', async () => {
    await using server = await startApiServer();
    runKubelets(server);
    createNode(server, 'n1');
    server.registry.create(deployments, deploymentOf(3));
    await eventually(
      'three pods',
      () => server.registry.get(deployments, 'default', 'gs').status.availableReplicas === 3,
    );
    let version = -1;
    // At rest when a whole look around, every controller once, wrote nothing.
    await eventually('nothing is written any more', () => {
      const isSame = server.store.resourceVersion === version;
      version = server.store.resourceVersion;
      return isSame;
    });
  });
});
