import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { KubeClient } from '../../sandbox/kube-client/kube-client.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import { eventually } from '../integration/agent/scene/eventually.ts';
import { impersonate } from './support/impersonate.ts';
import { installFleetPolicies, installFleetRights } from './support/install-fleet.ts';
import { adminClient, onCluster } from './support/test-cluster.ts';

const namespace = `fleet-policies-${process.pid}`;
const node = `fleet-node-${process.pid}`;
const pods = `/api/v1/namespaces/${namespace}/pods`;
const deployments = `/apis/apps/v1/namespaces/${namespace}/deployments`;
const ownLabels = (allocation: string) => ({ 'spotable.dev/fleet': 'f', 'spotable.dev/allocation': allocation });
const spec = { automountServiceAccountToken: false, containers: [{ name: 'game', image: 'game:1' }] };

interface Ask {
  readonly method: 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: object;
  readonly strategic?: true;
}

async function answer(connection: KubeConnection, { method, path, body, strategic }: Ask) {
  const { status, body: said } = await connection.request({
    method,
    // A dry run passes admission too, and changes nothing.
    path: `${path}?dryRun=All`,
    signal: AbortSignal.timeout(30_000),
    ...(body && { body }),
    ...(method === 'PATCH' && {
      contentType: `application/${strategic === undefined ? 'merge' : 'strategic-merge'}-patch+json`,
    }),
  });
  return { status, message: String(Object(said).message ?? '') };
}

describe('the admission policies of fleets', onCluster, () => {
  let admin: KubeClient;
  const connections = new Map<string, KubeConnection>();
  const as = (user: string, nodeName?: string): KubeConnection => {
    const key = `${user} ${nodeName}`;
    const known = connections.get(key) ?? impersonate(user, nodeName);
    connections.set(key, known);
    return known;
  };
  const fleet = () => as(`system:serviceaccount:${namespace}:spotable-fleet`);
  const agent = (nodeName = node) => as('system:serviceaccount:spotable:spotable-agent', nodeName);
  const replicaSets = () => as('system:serviceaccount:kube-system:replicaset-controller');

  before(async () => {
    admin = adminClient();
    await installFleetPolicies(admin);
    await admin.create('/api/v1/namespaces', { metadata: { name: namespace } });
    await eventually('the namespace has its service account', async () =>
      admin.get(`/api/v1/namespaces/${namespace}/serviceaccounts/default`).catch(() => false as const),
    );
    await installFleetRights(admin, namespace);
    await admin.create('/api/v1/nodes', { metadata: { name: node } });
    for (const allocation of ['allocated', 'unallocated'])
      await admin.create(pods, {
        metadata: { name: allocation, labels: ownLabels(allocation), annotations: { foreign: 'x' } },
        spec: { ...spec, nodeName: node },
      });
    await admin.create(pods, { metadata: { name: 'other' }, spec: { ...spec, nodeName: node } });
    await admin.create(deployments, {
      metadata: { name: 'f' },
      spec: {
        replicas: 0,
        selector: { matchLabels: ownLabels('unallocated') },
        template: { metadata: { labels: ownLabels('unallocated') }, spec },
      },
    });
    // The API server compiles a stored policy some seconds later.
    const refuses = async (connection: KubeConnection, ask: Ask) => (await answer(connection, ask)).status === 403;
    await eventually('the policies work', async () => {
      const both = await Promise.all([
        refuses(replicaSets(), { method: 'DELETE', path: `${pods}/allocated` }),
        refuses(fleet(), { method: 'DELETE', path: `${pods}/unallocated` }),
      ]);
      return both.every(Boolean);
    });
  });
  after(async () => {
    for (const connection of connections.values()) connection.close();
    await admin.remove(`/api/v1/namespaces/${namespace}`);
    await admin.remove(`/api/v1/nodes/${node}`);
    admin.close();
  });

  const labels = (change: object) => ({ metadata: { labels: change } });
  const annotations = (change: object) => ({ metadata: { annotations: change } });
  const condition = (type: string) => ({ status: { conditions: [{ type, status: 'True' }] } });
  const status = (name: string, body: object): Ask => ({
    method: 'PATCH',
    path: `${pods}/${name}/status`,
    body,
    strategic: true,
  });
  type Case = readonly [string, () => KubeConnection, Ask, 200 | 403];
  const cases: readonly Case[] = [
    ['the ReplicaSet controller deletes no session', replicaSets, { method: 'DELETE', path: `${pods}/allocated` }, 403],
    ['it deletes a warm game server', replicaSets, { method: 'DELETE', path: `${pods}/unallocated` }, 200],
    ['the fleet process deletes a session that is over', fleet, { method: 'DELETE', path: `${pods}/allocated` }, 200],
    ['it deletes no warm game server', fleet, { method: 'DELETE', path: `${pods}/unallocated` }, 403],
    ['it deletes no other pod', fleet, { method: 'DELETE', path: `${pods}/other` }, 403],
    [
      'it allocates',
      fleet,
      { method: 'PATCH', path: `${pods}/unallocated`, body: labels({ 'spotable.dev/allocation': 'allocated' }) },
      200,
    ],
    ['it marks no other pod', fleet, { method: 'PATCH', path: `${pods}/other`, body: labels({ a: 'b' }) }, 403],
    [
      'it gives a pod no other image',
      fleet,
      {
        method: 'PATCH',
        path: `${pods}/allocated`,
        body: { spec: { containers: [{ name: 'game', image: 'evil:1' }] } },
        strategic: true,
      },
      403,
    ],
    [
      'it gives a pod no owner',
      fleet,
      {
        method: 'PATCH',
        path: `${pods}/allocated`,
        body: { metadata: { finalizers: ['example.com/x'] } },
      },
      403,
    ],
    ['it scales a fleet', fleet, { method: 'PATCH', path: `${deployments}/f`, body: { spec: { replicas: 2 } } }, 200],
    [
      'it gives a fleet no other template',
      fleet,
      {
        method: 'PATCH',
        path: `${deployments}/f`,
        body: { spec: { template: { metadata: { annotations: { a: 'b' } } } } },
      },
      403,
    ],
    ['the agent says that a game is up', agent, status('unallocated', condition('spotable.dev/ready')), 200],
    [
      'it says where players find it',
      agent,
      status('unallocated', annotations({ 'spotable.dev/address': 'a', 'spotable.dev/port.GAME': '1/udp' })),
      200,
    ],
    ['it changes no label', agent, status('unallocated', labels({ 'spotable.dev/allocation': 'allocated' })), 403],
    ['it changes no annotation of others', agent, status('unallocated', annotations({ foreign: 'y' })), 403],
    ['it removes none', agent, status('unallocated', annotations({ foreign: null })), 403],
    ['it adds none', agent, status('unallocated', annotations({ 'spotable.dev/session-id': 'x' })), 403],
    ['it calls no pod ready in the name of its kubelet', agent, status('unallocated', condition('Ready')), 403],
    ['it changes no phase', agent, status('unallocated', { status: { phase: 'Failed' } }), 403],
    [
      'it speaks for no pod of another node',
      () => agent('elsewhere'),
      status('unallocated', condition('spotable.dev/ready')),
      403,
    ],
  ];
  for (const [what, who, ask, expected] of cases)
    test(what, async () => {
      const { status: got, message } = await answer(who(), ask);
      assert.equal(got, expected, message);
      if (expected === 403) assert.match(message, /ValidatingAdmissionPolicy 'spotable-/);
    });
});
