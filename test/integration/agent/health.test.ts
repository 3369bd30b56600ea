import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { describe, test } from 'node:test';
import { clusterRoleBindings, clusterRoles } from '../../../sandbox/kubernetes/registry/table.ts';
import { linkPath } from '../../../shared/link/link-address.ts';
import { FaultyNetwork } from '../../support/faulty-network.ts';
import { ClusterScene } from './scene/cluster-scene.ts';
import { eventually } from './scene/eventually.ts';

const apiVersion = 'rbac.authorization.k8s.io/v1';
const user = { name: 'system:serviceaccount:spotable:agent', groups: ['system:authenticated'] };

/** What the agent may do from now on. */
function grant(scene: ClusterScene, verbsOnPods: readonly string[], mayEvict: boolean): void {
  const rules = [
    { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch', 'patch'] },
    { apiGroups: [''], resources: ['pods'], verbs: verbsOnPods },
    ...(mayEvict ? [{ apiGroups: [''], resources: ['pods/eviction'], verbs: ['create'] }] : []),
  ];
  const { registry } = scene.api;
  if (registry.store.get(clusterRoles, undefined, 'agent') === undefined) {
    registry.create(clusterRoles, { apiVersion, kind: 'ClusterRole', metadata: { name: 'agent' }, rules });
    const subjects = [{ kind: 'User', name: user.name }];
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'agent' } as const;
    const binding = { kind: 'ClusterRoleBinding', metadata: { name: 'agent' }, subjects, roleRef };
    registry.create(clusterRoleBindings, { apiVersion, ...binding });
  } else registry.update(clusterRoles, undefined, 'agent', (role) => ({ ...role, rules }));
}

describe('readiness', { concurrency: 2 }, () => {
  test('is lost while neither the metadata service nor the API server answers, and comes back with them', async (t) => {
    const scene = await ClusterScene.start();
    const network = await FaultyNetwork.start(scene.api.port);
    // The agent goes first: it comes back to a network that is about to end.
    t.after(async () => {
      await scene[Symbol.asyncDispose]();
      await network[Symbol.asyncDispose]();
    });
    const url = `http://127.0.0.1:${network.port}`;
    const agent = await scene.startReadyAgent({ KUBECONFIG: await scene.kubeconfig(undefined, url) });
    scene.metadata.faults.add({ id: 'away', fault: { kind: 'reset' } });
    network.refuse();
    let text = '';
    const problems = await eventually(
      () => `both are named: ${text}`,
      async () => {
        const answer = await agent.get('/readyz');
        text = answer.text;
        return (
          answer.status === 503 && /spot notices/.test(text) && /Kubernetes API has not answered/.test(text) && text
        );
      },
      90_000,
    );
    assert.match(problems, /spot notices could not be read for \d+ s/);
    assert.equal((await agent.get('/livez')).status, 200);
    assert.match((await agent.get('/metrics')).text, /^spotable_kubernetes_silent_seconds [1-9]/m);
    scene.metadata.faults.remove('away');
    network.restore();
    await eventually('it is ready', async () => (await agent.get('/readyz')).status === 200, 60_000);
  });

  test('is lost when a right is taken away in the midst of a drain', async () => {
    await using scene = await ClusterScene.start({ api: { tokens: { 'agent-token': user } } });
    grant(scene, ['list', 'watch', 'delete'], true);
    for (const name of ['a', 'b']) scene.addPod(name, { stopMs: 20_000, graceSeconds: 60 });
    const agent = await scene.startReadyAgent({ KUBECONFIG: await scene.kubeconfig('agent-token') });
    assert.match((await agent.get('/metrics')).text, /^spotable_missing_rights 0$/m);
    grant(scene, ['list', 'watch'], false);
    scene.announceSpot(120_000);
    await agent.says('Kubernetes rights missing', ({ missing }) => String(missing) === 'create pods/eviction');
    const { status, text } = await agent.get('/readyz');
    assert.deepEqual([status, /missing right: create pods\/eviction/.test(text)], [503, true]);
    assert.match((await agent.get('/metrics')).text, /^spotable_missing_rights 1$/m);
  });
});

describe('an agent', { concurrency: 2 }, () => {
  test("whose link's name somebody else holds drains without it, is not ready, and takes it when it is free", async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    const squatter = createServer().listen({ path: linkPath(scene.link) });
    await once(squatter, 'listening');
    const agent = await scene.launchAgent();
    const startMs = 60_000;
    await agent.says('Metrics server listening', undefined, startMs);
    const isOnlyDeaf = async () => {
      const { status, text } = await agent.get('/readyz');
      return status === 503 && text === `the link does not listen on ${scene.link}\n`;
    };
    await eventually('all but the link is well', isOnlyDeaf, startMs);
    scene.announceSpot(60_000);
    await agent.says('Node drained');
    assert.equal(scene.isCordoned, true);
    await agent.says('Cannot listen on the link: draining without it');
    squatter.close();
    await agent.says('Link server listening');
    assert.equal((await agent.get('/readyz')).status, 200);
  });

  test('answers its probes though 64 connections say nothing', async () => {
    await using scene = await ClusterScene.start();
    const agent = await scene.startAgent();
    const port = await agent.port();
    const idle = await Promise.all(
      Array.from({ length: 64 }, async () => {
        const socket = connect(port, '127.0.0.1').on('error', () => {});
        await once(socket, 'connect');
        return socket;
      }),
    );
    assert.equal((await agent.get('/livez')).status, 200);
    for (const socket of idle) socket.destroy();
  });
});
