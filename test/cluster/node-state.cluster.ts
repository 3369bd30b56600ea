import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isoSeconds } from '../../sandbox/metadata/notices.ts';
import { eventually } from '../integration/agent/scene/eventually.ts';
import { Scene, type SceneNode } from './support/scene.ts';
import { onCluster } from './support/test-cluster.ts';

function recommendRebalance({ metadata }: SceneNode): void {
  metadata.announce('rebalance', { noticeTime: isoSeconds(Date.now()) });
}

describe('what an agent does to its node on a real control plane', { ...onCluster, concurrency: 3 }, () => {
  test('an agent that is killed in its drain is resumed by the next one', async () => {
    await using scene = await Scene.start();
    const doomed = await scene.addNode();
    await scene.addPod(doomed, 'guarded');
    await scene.guard('guarded', { minAvailable: 1 });
    const killed = await doomed.startAgent();
    const deadlineMs = doomed.announceSpot(120_000);
    await killed.says('Eviction refused by budget');
    await eventually('the mark stands', () => doomed.mark());
    await killed.end('SIGKILL');
    await scene.kube.remove(scene.path('poddisruptionbudgets', 'guarded'));
    const next = await doomed.startAgent();
    // The next agent reads either the node's mark or the notice first: both name the same interruption.
    const known = await eventually(
      'the next agent takes it up',
      () => next.said('Interruption resumed')[0] ?? next.said('Interruption noticed')[0],
    );
    assert.equal(Date.parse(String(known['deadline'])), deadlineMs);
    assert.equal((await next.says('Pod termination requested'))['how'], 'evicted');
    await next.says('Node drained');
    assert.equal((await doomed.mark())?.['cordon_is_ours'], true);
    assert.equal(next.said('Interruption noticed').length + next.said('Interruption resumed').length, 1);
  });

  test('a notice that is withdrawn leaves the node as it was, others taints and labels included', async () => {
    await using scene = await Scene.start();
    const node = await scene.addNode();
    await scene.addPod(node, 'a');
    await node.patch({ spec: { taints: [{ key: 'dedicated', value: 'games', effect: 'NoSchedule' }] } });
    const before = await node.read();
    const agent = await node.startAgent({ ON_SPOT_TERMINATION: 'cordon', EXCLUDE_FROM_LOAD_BALANCERS: 'true' });
    node.announceSpot(90_000);
    await agent.says('Node cordoned');
    const marked = await node.read();
    assert.equal(marked.metadata.labels?.['node.kubernetes.io/exclude-from-external-load-balancers'], 'true');
    assert.equal(marked.spec.unschedulable, true);
    node.metadata.withdraw('spot');
    await agent.says('Node uncordoned');
    await eventually('Kubernetes takes its own taint back', async () => (await node.read()).spec.taints?.length === 1);
    const after = await node.read();
    assert.deepEqual(after.spec, before.spec);
    assert.deepEqual(after.metadata.labels, before.metadata.labels);
    assert.deepEqual(after.metadata.annotations, before.metadata.annotations);
    assert.equal((await scene.pods()).length, 1);
  });

  test('a rebalance recommendation holds the node for its time, and no pod goes', async () => {
    await using scene = await Scene.start();
    const node = await scene.addNode();
    await scene.addPod(node, 'a');
    const agent = await node.startAgent({ REBALANCE_TTL: '6s' });
    recommendRebalance(node);
    await agent.says('Node cordoned');
    assert.deepEqual(await node.taints(), ['spotable.dev/interruption=rebalance']);
    await agent.says('Node uncordoned');
    assert.deepEqual([await node.isCordoned(), await node.taints(), await node.mark()], [false, [], undefined]);
    assert.equal((await scene.pods())[0]?.metadata.deletionTimestamp, undefined);
    await eventually('the inventory heard', async () => (await scene.nodeStates()).join() === 'at-risk,recovered');
  });

  test('a rehearsal drains the node and gives it back when its annotation goes', async () => {
    await using scene = await Scene.start();
    const node = await scene.addNode();
    await scene.deploy('games', 2, { labels: { 'spotable.dev/game-server': 'true' } });
    const agent = await node.startAgent();
    await node.annotate({ 'spotable.dev/rehearse': '2m' });
    await agent.says('Node drained');
    assert.equal(await node.isCordoned(), true);
    await node.annotate({ 'spotable.dev/rehearse': null });
    await agent.says('Node uncordoned');
    await scene.isDeployed('games', 2);
    assert.deepEqual(await node.taints(), []);
  });

  test("somebody else's cordon stays when ours would be undone", async () => {
    await using scene = await Scene.start();
    const node = await scene.addNode();
    await node.patch({ spec: { unschedulable: true } });
    const agent = await node.startAgent({ REBALANCE_TTL: '3s' });
    recommendRebalance(node);
    await eventually('the node is marked', () => node.mark());
    await eventually('and unmarked', async () => (await node.mark()) === undefined);
    assert.equal(await node.isCordoned(), true);
    assert.deepEqual(await node.taints(), []);
    assert.equal(agent.hasExited, false);
  });

  test('a taint is not lost to somebody who writes the node at the same time', async () => {
    await using scene = await Scene.start();
    const node = await scene.addNode();
    const agent = await node.startAgent();
    const writes = await node.writeMeanwhile(async () => {
      node.announceSpot(90_000);
      await agent.says('Node cordoned');
    });
    assert.ok(writes > 1);
    assert.deepEqual(await node.taints(), ['spotable.dev/interruption=spot-termination']);
    assert.ok((await node.mark()) !== undefined);
  });
});
