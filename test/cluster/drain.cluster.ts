import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventually } from '../integration/agent/scene/eventually.ts';
import { requestsFrom, rightFor } from './support/audit-log.ts';
import { Scene, type SceneNode, type TimedKubeletEvent } from './support/scene.ts';
import { onCluster } from './support/test-cluster.ts';

/** Ends this many seconds after SIGTERM. */
const endsAfter = (seconds: number) => `trap "sleep ${seconds}; exit 0" TERM; sleep 10000 & wait`;
const neverEnds = 'trap "" TERM; while :; do sleep 1; done';
const gameServer = { 'spotable.dev/game-server': 'true' };

function whenFirst(node: SceneNode, pod: RegExp, event: TimedKubeletEvent['event']): number {
  const found = node.kubeletEvents.find((one) => one.event === event && 'pod' in one && pod.test(one.pod));
  assert.ok(found, `${node.name}: ${event} of ${pod}`);
  return found.atMs;
}

function whenLast(node: SceneNode, pod: RegExp, event: TimedKubeletEvent['event']): number {
  const found = node.kubeletEvents.findLast((one) => one.event === event && 'pod' in one && pod.test(one.pod));
  assert.ok(found, `${node.name}: ${event} of ${pod}`);
  return found.atMs;
}

describe('a drain on a real control plane', { ...onCluster, concurrency: 3 }, () => {
  test('cordons, then evicts in tiers, and replacements come up elsewhere only', async () => {
    await using scene = await Scene.start();
    const doomed = await scene.addNode();
    await scene.deploy('games', 3, { labels: gameServer, script: endsAfter(1), graceSeconds: 60 });
    await scene.deploy('proxy', 1, { labels: { 'spotable.dev/drain': 'last' } });
    await scene.deploy('kept', 1, { labels: { 'spotable.dev/drain': 'ignore' } });
    await scene.addDaemonSet('daemon');
    const refuge = await scene.addNode();
    const agent = await doomed.startAgent();
    doomed.announceSpot(90_000);
    const drained = await agent.says('Node drained');
    const ends = Object.entries(drained['pods'] as Record<string, string>);
    assert.deepEqual(ends.map(([, how]) => how).sort(), ['evicted', 'evicted', 'evicted', 'evicted']);
    await scene.isDeployed('games', 3);
    await scene.isDeployed('proxy', 1);
    const left = (await scene.pods()).filter(({ spec }) => spec.nodeName === doomed.name);
    assert.deepEqual(left.map(({ metadata }) => metadata.labels?.['app']).sort(), ['daemon', 'kept']);
    // Every game that ever ran on the doomed node was there before the notice.
    const seen = doomed.kubeletEvents.filter((one) => one.event === 'pod-seen' && /^(games|proxy)-/.test(one.pod));
    assert.equal(seen.length, 4, 'no replacement came to the doomed node');
    assert.ok(refuge.kubeletEvents.some((one) => one.event === 'pod-seen' && one.pod.startsWith('games-')));
    assert.ok(
      whenFirst(doomed, /^proxy-/, 'container-signalled') >= whenLast(doomed, /^games-/, 'container-exited'),
      'what carries traffic goes when the games have ended',
    );
    const asked = await requestsFrom(doomed.name);
    const cordon = asked.find((event) => rightFor(event) === 'patch nodes' && event.responseStatus.code === 200);
    const eviction = asked.find((event) => rightFor(event) === 'create pods/eviction');
    assert.ok(cordon !== undefined && eviction !== undefined);
    const askedMs = Date.parse(eviction.requestReceivedTimestamp);
    // On a busy machine the cordon may take longer than the quarter of a second for which evictions wait.
    const waitedMs = askedMs - (agent.said('Interruption noticed')[0]?.time ?? 0);
    assert.ok(Date.parse(cordon.stageTimestamp) <= askedMs || waitedMs >= 240, `evicted after ${waitedMs} ms`);
    assert.deepEqual(await doomed.taints(), ['spotable.dev/interruption=spot-termination']);
    assert.equal((await doomed.mark())?.['cordon_is_ours'], true);
    await eventually('the queue has both', async () => (await scene.nodeStates()).join() === 'interrupted,drained');
    await eventually('Kubernetes has the events', async () => {
      const reasons = await doomed.reasons();
      return ['InterruptionNoticed', 'NodeDrained'].every((reason) => reasons.includes(reason));
    });
    assert.equal(await agent.end('SIGTERM'), 0);
  });

  test('a budget lets one pod go at a time: the next one when a replacement is ready', async () => {
    await using scene = await Scene.start();
    const doomed = await scene.addNode();
    await scene.deploy('pair', 2, { graceSeconds: 10 });
    await scene.guard('pair', { maxUnavailable: 1 });
    const agent = await doomed.startAgent();
    doomed.announceSpot(110_000);
    const refused = await agent.says('Eviction refused by budget');
    assert.match(String(refused['reason']), /disruption budget pair /);
    // Only now is there a place for a replacement.
    await scene.addNode();
    const drained = await agent.says('Node drained', undefined, 100_000);
    const ends = Object.values(drained['pods'] as object);
    assert.ok(ends.length >= 2 && ends.every((how) => how === 'evicted'), `${ends}`);
    const answers = (await requestsFrom(doomed.name))
      .filter(({ objectRef }) => objectRef?.subresource === 'eviction')
      .map(({ responseStatus }) => responseStatus.code);
    assert.ok(answers.includes(429), `${answers}`);
    assert.equal(answers.filter((code) => code === 201).length, ends.length);
  });

  test('a pod that its budget holds back is deleted when only its own grace is left', async () => {
    await using scene = await Scene.start();
    const doomed = await scene.addNode();
    await scene.addPod(doomed, 'guarded', { graceSeconds: 3 });
    await scene.guard('guarded', { minAvailable: 1 });
    const agent = await doomed.startAgent({ SAFETY_MARGIN: '2s' });
    const deadlineMs = doomed.announceSpot(14_000);
    const asked = await agent.says('Pod termination requested');
    assert.equal(asked['how'], 'deleted-budget');
    const beforeEndMs = deadlineMs - 2000 - asked.time;
    assert.ok(beforeEndMs <= 4000, `${beforeEndMs} ms before the end`);
    await agent.says('Node drained');
    const codes = (await requestsFrom(doomed.name))
      .filter(({ objectRef }) => objectRef?.resource === 'pods' && objectRef.name === 'guarded')
      .map(({ verb, responseStatus }) => `${verb} ${responseStatus.code}`);
    assert.deepEqual(new Set(codes), new Set(['create 429', 'delete 200']));
  });

  test('a pod under two budgets, for which evictions are answered by 500, is deleted in time', async () => {
    await using scene = await Scene.start();
    const doomed = await scene.addNode();
    await scene.addPod(doomed, 'twice', { graceSeconds: 2 });
    await scene.guard('twice', { minAvailable: 0 });
    const selector = { matchLabels: { app: 'twice' } };
    await scene.kube.create(scene.path('poddisruptionbudgets'), {
      metadata: { name: 'second' },
      spec: { minAvailable: 0, selector },
    });
    const agent = await doomed.startAgent({ SAFETY_MARGIN: '2s' });
    doomed.announceSpot(14_000);
    await agent.says('Node drained');
    const codes = (await requestsFrom(doomed.name))
      .filter(({ objectRef }) => objectRef?.name === 'twice')
      .map(({ verb, responseStatus }) => `${verb} ${responseStatus.code}`);
    assert.deepEqual(new Set(codes), new Set(['create 500', 'delete 200']));
  });

  test('a pod that somebody gave more time than the node has is shortened', async () => {
    await using scene = await Scene.start();
    const doomed = await scene.addNode();
    await scene.addPod(doomed, 'slow', { graceSeconds: 600, script: neverEnds });
    await scene.kube.remove(scene.path('pods', 'slow'));
    const agent = await doomed.startAgent({ SAFETY_MARGIN: '2s' });
    const deadlineMs = doomed.announceSpot(10_000);
    await agent.says('Node drained');
    assert.equal(agent.said('Pod termination requested')[0]?.['how'], 'deleted-outlives');
    assert.ok(whenFirst(doomed, /^slow$/, 'container-killed') < deadlineMs);
  });

  test('a game server that plays on gets the whole time that is left, and not more', async () => {
    await using scene = await Scene.start();
    const doomed = await scene.addNode();
    await scene.addPod(doomed, 'game', { labels: gameServer, graceSeconds: 120, script: neverEnds });
    const agent = await doomed.startAgent({ SAFETY_MARGIN: '4s' });
    const deadlineMs = doomed.announceSpot(20_000);
    await agent.says('Pod termination requested');
    const { metadata } = (await scene.pods())[0] ?? assert.fail('the pod is there');
    const endMs = Date.parse(metadata.deletionTimestamp ?? '');
    assert.ok(endMs <= deadlineMs - 3000 && endMs > deadlineMs - 8000, `ends ${deadlineMs - endMs} ms before`);
    await eventually('it is gone', async () => (await scene.pods()).length === 0);
  });
});
