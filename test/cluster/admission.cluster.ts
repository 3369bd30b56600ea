import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { KubeClient } from '../../sandbox/kube-client/kube-client.ts';
import { KubeError } from '../../shared/kubernetes/kube-answer.ts';
import { eventually } from '../integration/agent/scene/eventually.ts';
import { filesBelow, parseManifests, readProjectFile } from '../unit/manifests/manifest-files.ts';
import { policyFile } from './support/install-agent.ts';
import { adminClient, clientWith, onCluster } from './support/test-cluster.ts';

type Send = (kube: KubeClient) => Promise<unknown>;
interface Answer {
  readonly status: number;
  readonly message: string;
}

const [ownNode, otherNode, bareNode, namespace] = ['own', 'other', 'bare', 'arena'].map(
  (name) => `${name}-${process.pid}`,
) as [string, string, string, string];
const pods = `/api/v1/namespaces/${namespace}/pods`;
const policiesIn = (file: string) =>
  parseManifests(readProjectFile(file)).filter(({ kind }) => kind === 'ValidatingAdmissionPolicy');
const policies = policiesIn(policyFile);
const gamesTaint = { key: 'games', value: 'only', effect: 'NoSchedule' };
const interruptionTaint = { key: 'spotable.dev/interruption', value: 'spot-termination', effect: 'NoSchedule' };
const outOfServiceTaint = { key: 'node.kubernetes.io/out-of-service', value: 'nodeshutdown', effect: 'NoExecute' };

/** Every change that an agent makes to its node. */
const mark = {
  metadata: {
    annotations: { 'spotable.dev/interruption': '{}' },
    labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': 'true' },
  },
  spec: { unschedulable: true, taints: [gamesTaint, interruptionTaint, outOfServiceTaint] },
};

/** A dry run passes admission too, and changes nothing. */
const patch =
  (node: string, change: object): Send =>
  (kube) =>
    kube.patch(`/api/v1/nodes/${node}?dryRun=All`, 'merge', change);
const removePod =
  (name: string): Send =>
  (kube) =>
    kube.remove(`${pods}/${name}?dryRun=All`);
const evict =
  (uid?: string): Send =>
  (kube) =>
    kube.create(`${pods}/on-own/eviction?dryRun=All`, {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: 'on-own' },
      ...(uid !== undefined && { deleteOptions: { preconditions: { uid } } }),
    });

async function answerTo(send: Send, kube: KubeClient): Promise<Answer> {
  try {
    await send(kube);
    return { status: 200, message: '' };
  } catch (error) {
    if (!(error instanceof KubeError) || error.status === undefined) throw error;
    return { status: error.status, message: error.message };
  }
}

describe('the admission policies', onCluster, () => {
  let admin: KubeClient;
  let agent: KubeClient;
  /** Its token is not bound to a pod, so it names no node. */
  let agentOfNoNode: KubeClient;
  let onOwnUid: string;
  const refusals: string[] = [];

  const isRefused = async (send: Send, kube: KubeClient = agent) => {
    const { status, message } = await answerTo(send, kube);
    assert.equal(status, 403, message);
    assert.match(message, /ValidatingAdmissionPolicy 'spotable-agent-own-/);
    refusals.push(message);
  };
  const isTaken = async (send: Send, kube: KubeClient = agent) =>
    assert.deepEqual(await answerTo(send, kube), { status: 200, message: '' });

  async function addNode(name: string, isBare = false): Promise<void> {
    const metadata = isBare ? { name } : { name, labels: { pool: 'spot' }, annotations: { owner: 'us' } };
    const providerID = 'aws:///eu-west-1a/i-1';
    await admin.create('/api/v1/nodes', { metadata, spec: isBare ? {} : { providerID } });
    const conditions = [{ type: 'Ready', status: 'True' }];
    await admin.patch(`/api/v1/nodes/${name}/status`, 'merge', { status: { conditions } });
    await eventually('Kubernetes holds the node for ready', async () => {
      const { spec = {} } = await admin.get(`/api/v1/nodes/${name}`);
      return spec['taints'] === undefined;
    });
    if (!isBare) await admin.patch(`/api/v1/nodes/${name}`, 'merge', { spec: { taints: [gamesTaint] } });
  }

  async function addPod(path: string, name: string, spec: object): Promise<string> {
    const containers = [{ name: 'c', image: 'none:1' }];
    const { metadata } = await admin.create(path, { metadata: { name }, spec: { containers, ...spec } });
    return metadata.uid ?? '';
  }

  async function agentWith(bound: object): Promise<KubeClient> {
    const path = '/api/v1/namespaces/spotable/serviceaccounts/spotable-agent/token';
    const { status = {} } = await admin.create(path, { spec: bound });
    return clientWith(String(status['token']));
  }

  before(async () => {
    admin = adminClient();
    await admin.create('/api/v1/namespaces', { metadata: { name: namespace } });
    await eventually('pods are taken', () =>
      admin.get(`/api/v1/namespaces/${namespace}/serviceaccounts/default`).catch(() => false as const),
    );
    for (const name of [ownNode, otherNode]) await addNode(name);
    await addNode(bareNode, true);
    onOwnUid = await addPod(pods, 'on-own', { nodeName: ownNode });
    await addPod(pods, 'on-other', { nodeName: otherNode });
    await addPod(pods, 'unbound', { nodeSelector: { 'no-such': 'node' } });
    const spotable = '/api/v1/namespaces/spotable/pods';
    const spec = { serviceAccountName: 'spotable-agent', tolerations: [{ operator: 'Exists' }] };
    const uid = await addPod(spotable, ownNode, { ...spec, nodeName: ownNode });
    agent = await agentWith({ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: ownNode, uid } });
    agentOfNoNode = await agentWith({});
    await eventually('the policies are in force', async () => {
      const answers = [await answerTo(patch(otherNode, mark), agent), await answerTo(evict(), agent)];
      return answers.every(({ status }) => status === 403);
    });
  });

  after(async () => {
    const now = { gracePeriodSeconds: 0 };
    await admin?.remove(`/api/v1/namespaces/spotable/pods/${ownNode}`, now).catch(() => {});
    await admin?.remove(`/api/v1/namespaces/${namespace}`).catch(() => {});
    for (const name of [ownNode, otherNode, bareNode]) await admin?.remove(`/api/v1/nodes/${name}`).catch(() => {});
    for (const client of [admin, agent, agentOfNoNode]) client?.close();
  });

  test('of all manifests have no expression that the API server warns of', async () => {
    const collection = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies';
    const files = filesBelow('manifests', '.yaml').filter((file) => file.includes('polic') && file !== policyFile);
    const others = files.flatMap((file) => policiesIn(file));
    assert.ok(others.length > 0, "the fleets' policies are among them");
    // Without a binding the policies apply to nobody.
    for (const policy of others) await admin.create(collection, policy);
    for (const { metadata } of [...policies, ...others]) {
      const path = `${collection}/${metadata.name}`;
      const checked = await eventually(`the types of ${metadata.name} are checked`, async () => {
        const { status } = await admin.get(path);
        return status?.['observedGeneration'] === 1 && status;
      });
      assert.deepEqual(checked['typeChecking'], {}, metadata.name);
    }
    for (const { metadata } of others) await admin.remove(`${collection}/${metadata.name}`);
  });

  test('let an agent mark its node and take the mark back', async () => {
    await isTaken(patch(ownNode, mark));
    // Not cordoned: Kubernetes would add a taint of its own during the test.
    const { metadata, spec } = mark;
    await admin.patch(`/api/v1/nodes/${ownNode}`, 'merge', { metadata, spec: { taints: spec.taints } });
    const unmark = {
      metadata: {
        annotations: { 'spotable.dev/interruption': null, 'spotable.dev/rehearse': null },
        labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': null },
      },
      spec: { unschedulable: null, taints: [gamesTaint] },
    };
    await isTaken(patch(ownNode, unmark));
    await admin.patch(`/api/v1/nodes/${ownNode}`, 'merge', unmark);
  });

  test('let it mark a node that has no labels, annotations or taints', async () => {
    const uid = await addPod('/api/v1/namespaces/spotable/pods', bareNode, {
      serviceAccountName: 'spotable-agent',
      nodeName: bareNode,
    });
    const other = await agentWith({ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: bareNode, uid } });
    await isTaken(patch(bareNode, { ...mark, spec: { unschedulable: true, taints: [interruptionTaint] } }), other);
    other.close();
    await admin.remove(`/api/v1/namespaces/spotable/pods/${bareNode}`, { gracePeriodSeconds: 0 });
  });

  test('refuse every other change to a node', async () => {
    await isRefused(patch(otherNode, mark));
    await isRefused(patch(ownNode, mark), agentOfNoNode);
    for (const change of [
      { metadata: { labels: { pool: 'other' } } },
      { metadata: { labels: { 'node-role': '' } } },
      { metadata: { labels: { pool: null } } },
      { metadata: { annotations: { owner: 'other' } } },
      { metadata: { annotations: { new: '' } } },
      { metadata: { annotations: { owner: null } } },
      { metadata: { finalizers: ['example.com/stay'] } },
      { metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'x', uid: onOwnUid }] } },
      { spec: { podCIDR: '10.1.0.0/24', podCIDRs: ['10.1.0.0/24'] } },
      { spec: { taints: null } },
      { spec: { taints: [gamesTaint, { key: 'new', effect: 'NoExecute' }] } },
      { spec: { taints: [{ ...gamesTaint, value: 'other' }] } },
    ])
      await isRefused(patch(ownNode, change));
  });

  test('let it delete the pods of its node, and refuse all others', async () => {
    await isTaken(removePod('on-own'));
    await isRefused(removePod('on-other'));
    await isRefused(removePod('unbound'));
    await isRefused(removePod('unbound'), agentOfNoNode);
  });

  test('let it evict a pod by its uid only', async () => {
    await isTaken(evict(onOwnUid));
    await isRefused(evict());
  });

  test('say nothing to others', async () => {
    await isTaken(patch(otherNode, mark), admin);
    await isTaken(removePod('on-other'), admin);
    await isTaken(evict(), admin);
  });

  test('have no validation that nothing above needs', () => {
    const validations = policies.flatMap(
      ({ spec }) => (spec as { validations: { message?: string; messageExpression?: string }[] }).validations,
    );
    for (const { message, messageExpression } of validations) {
      // The result of a message expression ends with the literal at its end.
      const words = message ?? /"\\" (.+)"$/.exec(messageExpression ?? '')?.[1] ?? 'no message';
      assert.ok(
        refusals.some((refusal) => refusal.includes(words)),
        `no request was refused because: ${words}`,
      );
    }
  });
});
