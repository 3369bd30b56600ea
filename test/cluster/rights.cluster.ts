import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { eventually } from '../integration/agent/scene/eventually.ts';
import { PaperWrapper } from '../integration/agent/scene/paper-wrapper.ts';
import { parseManifests, readProjectFile } from '../unit/manifests/manifest-files.ts';
import { type AuditEvent, requestsFrom, rightFor } from './support/audit-log.ts';
import { roleFiles } from './support/install-agent.ts';
import { Scene } from './support/scene.ts';
import { onCluster } from './support/test-cluster.ts';

interface Rule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly verbs: readonly string[];
}

/** Kubernetes gives these rights to every service account, so that no role has to. */
const givenToAll = /^create selfsubject(access|rules)?reviews\.(authorization|authentication)\.k8s\.io$/;

/** Every right that the agent's ClusterRoles give. */
function grantedRights(): readonly string[] {
  const rules = roleFiles
    .flatMap((file) => parseManifests(readProjectFile(file)))
    .filter(({ kind }) => kind === 'ClusterRole')
    .flatMap(({ rules: list }) => list as readonly Rule[]);
  const all = rules.flatMap(({ apiGroups = [], resources = [], verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}${group === '' ? '' : `.${group}`}`)),
    ),
  );
  return [...new Set(all)].sort();
}

/** Compares requested with granted rights, both ways. */
function compareRights(events: readonly AuditEvent[], granted: readonly string[]) {
  const needed = events.map(rightFor).filter((right) => right !== undefined);
  const used = new Set(needed.filter((right) => !givenToAll.test(right)));
  return {
    unused: granted.filter((right) => !used.has(right)),
    missing: [...used].filter((right) => !granted.includes(right)).sort(),
  };
}

/** Leads an agent through all of its work. Returns every request that it sent to the API server. */
async function leadThroughAllWork(): Promise<readonly AuditEvent[]> {
  await using scene = await Scene.start();
  const node = await scene.addNode();
  const pod = await scene.addPod(node, 'arena', { labels: { 'spotable.dev/game-server': 'true' } });
  await scene.addPod(node, 'guarded', { graceSeconds: 2 });
  await scene.guard('guarded', { minAvailable: 1 });
  const agent = await node.startAgent({ SAFETY_MARGIN: '2s' });
  const token = await scene.linkToken(pod);
  const wrapper = new PaperWrapper(node.link, { ...pod.metadata, token });
  await wrapper.hears('welcome');
  // A rehearsal that is called off, while another client writes the node so that there are conflicts.
  const isConflict = (event: AuditEvent) => rightFor(event) === 'patch nodes' && event.responseStatus.code === 409;
  await eventually(
    'the agent meets a conflict',
    async () => {
      await node.writeMeanwhile(async () => {
        await node.annotate({ 'spotable.dev/rehearse': '1m' });
        await eventually('the node is cordoned', () => node.isCordoned());
        await node.annotate({ 'spotable.dev/rehearse': null });
        await eventually('the node is given back', async () => (await node.mark()) === undefined);
      });
      return (await requestsFrom(node.name)).some(isConflict);
    },
    120_000,
  );
  node.announceSpot(12_000);
  await agent.says('Node drained');
  await eventually('it has written how it ended', async () => (await node.reasons()).includes('NodeDrained'));
  assert.equal(await agent.end('SIGTERM'), 0);
  wrapper.end();
  return requestsFrom(node.name);
}

describe("the agent's rights, by the API server's audit log", onCluster, () => {
  let events: readonly AuditEvent[] = [];
  before(async () => {
    events = await leadThroughAllWork();
  });

  test('are enough for all of its work, and none is unused', () => {
    const refused = events.filter(({ responseStatus }) => responseStatus.code === 403);
    assert.deepEqual(refused, []);
    assert.deepEqual(compareRights(events, grantedRights()), { unused: [], missing: [] });
  });

  test('a verb that is planted in the role is found', () => {
    const planted = [...grantedRights(), 'update nodes'];
    assert.deepEqual(compareRights(events, planted), { unused: ['update nodes'], missing: [] });
  });

  test('a verb that is taken from the role is found', () => {
    const granted = grantedRights().filter((right) => right !== 'create pods/eviction');
    assert.deepEqual(compareRights(events, granted), { unused: [], missing: ['create pods/eviction'] });
  });
});
