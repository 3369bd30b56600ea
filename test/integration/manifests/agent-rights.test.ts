import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { admin, type User } from '../../../sandbox/kubernetes/access/user.ts';
import type { RequestRecord } from '../../../sandbox/kubernetes/http/server.ts';
import type { KubeObject } from '../../../sandbox/kubernetes/objects.ts';
import {
  clusterRoleBindings,
  clusterRoles,
  namespaces,
  serviceAccounts,
} from '../../../sandbox/kubernetes/registry/table.ts';
import { parseManifests, readProjectFile } from '../../unit/manifests/manifest-files.ts';
import type { Manifest } from '../../unit/manifests/manifest-problems.ts';
import { ClusterScene } from '../agent/scene/cluster-scene.ts';
import { eventually } from '../agent/scene/eventually.ts';
import { compareRights, grantedRights, rightFor } from './rights.ts';

const roleFiles = ['manifests/base/agent/rbac.yaml', 'manifests/components/escalation/rbac.yaml'];
const roles = roleFiles.flatMap((file) => parseManifests(readProjectFile(file)));
const agent: User = {
  name: 'system:serviceaccount:spotable:spotable-agent',
  groups: ['system:serviceaccounts', 'system:serviceaccounts:spotable', 'system:authenticated'],
};
const adminToken = 'test-admin';
const agentToken = 'test-agent';

function bind({ api }: ClusterScene, objects: readonly Manifest[]): void {
  api.registry.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'spotable' }, spec: {} });
  api.registry.create(serviceAccounts, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'spotable-agent', namespace: 'spotable' },
  });
  for (const object of objects) {
    const resource = object.kind === 'ClusterRole' ? clusterRoles : clusterRoleBindings;
    api.registry.create(resource as typeof clusterRoles, object as unknown as KubeObject as never);
  }
}

/** Leads the agent, with exactly the rights of the manifests, through all of its work. Gives every request that it made. */
async function drill(): Promise<readonly RequestRecord[]> {
  await using scene = await ClusterScene.start({ api: { tokens: { [adminToken]: admin, [agentToken]: agent } } });
  bind(scene, roles);
  const pod = scene.addPod('arena', { stopMs: 200 });
  scene.addPod('guarded', { graceSeconds: 2 });
  scene.guard('guarded');
  const KUBECONFIG = await scene.kubeconfig(agentToken);
  const process = await scene.startReadyAgent({ KUBECONFIG, SAFETY_MARGIN: '1s' });
  const { url } = scene.api;
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: ['spotable'] } };
  scene.api.registry.create(serviceAccounts, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'game', namespace: 'arena' },
  });
  const response = await fetch(`${url}/api/v1/namespaces/arena/serviceaccounts/game/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${adminToken}` },
    body: JSON.stringify({
      ...body,
      spec: { ...body.spec, boundObjectRef: { kind: 'Pod', apiVersion: 'v1', ...pod } },
    }),
  });
  const { status } = (await response.json()) as { status: { token: string } };
  const wrapper = scene.addWrapper({ ...pod, token: status.token } as typeof pod);
  await wrapper.hears('welcome');
  // A rehearsal that is called off, with a conflict on the way: cordon, taint, undo.
  scene.api.faults.add({
    method: 'PATCH',
    path: '/api/v1/nodes/n-1',
    times: 1,
    fault: { kind: 'status', status: 409 },
  });
  scene.annotate({ 'spotable.dev/rehearse': '1m' });
  await eventually('the node is cordoned', () => scene.isCordoned);
  await process.says('Interruption noticed');
  // A real one overtakes it: eviction, refusal, deletion.
  scene.announceSpot(8000);
  await process.says('Node drained');
  await eventually('the agent has written how it ended', () => scene.calls('POST', /\/events$/) >= 3);
  assert.equal(await process.end('SIGTERM'), 0);
  return scene.api.requests.filter(({ user }) => user === agent.name);
}

describe("the agent's rights", () => {
  let requests: readonly RequestRecord[] = [];
  before(async () => {
    requests = await drill();
  });

  test('the drill is led by calls that the manifests allow, and uses every right that they give', () => {
    assert.deepEqual(
      requests.filter(({ status }) => status === 403),
      [],
    );
    assert.deepEqual(compareRights(requests, grantedRights(roles)), { unused: [], missing: [] });
  });

  test('a verb that is planted in the role is found', () => {
    const planted = [...grantedRights(roles), 'update nodes'];
    assert.deepEqual(compareRights(requests, planted), { unused: ['update nodes'], missing: [] });
  });

  test('a verb that is taken from the role is found', () => {
    const granted = grantedRights(roles).filter((right) => right !== 'create pods/eviction');
    assert.deepEqual(compareRights(requests, granted), { unused: [], missing: ['create pods/eviction'] });
  });
});

test('requests are read as the rights that they need', () => {
  const rights: readonly (readonly [string, string, string | undefined])[] = [
    ['GET', '/api/v1/pods?fieldSelector=spec.nodeName%3Dn', 'list pods'],
    ['GET', '/api/v1/pods?watch=true', 'watch pods'],
    ['GET', '/api/v1/nodes/n-1', 'get nodes'],
    ['PATCH', '/api/v1/nodes/n-1', 'patch nodes'],
    ['PATCH', '/api/v1/nodes/n-1/status', 'patch nodes/status'],
    ['POST', '/api/v1/namespaces/arena/pods/a/eviction', 'create pods/eviction'],
    ['DELETE', '/api/v1/namespaces/arena/pods/a', 'delete pods'],
    ['GET', '/api/v1/namespaces/arena', 'get namespaces'],
    ['POST', '/apis/authentication.k8s.io/v1/tokenreviews', 'create tokenreviews.authentication.k8s.io'],
    ['GET', '/version', undefined],
  ];
  for (const [method, path, right] of rights) assert.equal(rightFor({ method, path }), right, path);
});
