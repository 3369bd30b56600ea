import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { InterruptionReport } from '../../../agent/reporting/interruption-report.ts';
import type { Pod } from '../../../sandbox/kubernetes/objects.ts';
import { nodes, pods } from '../../../sandbox/kubernetes/registry/table.ts';
import type { AgentProcess } from './scene/agent-process.ts';
import { ClusterScene } from './scene/cluster-scene.ts';
import { eventually } from './scene/eventually.ts';

const short = { SAFETY_MARGIN: '1s' };
const podList = '/api/v1/pods\\?fieldSelector[^&]*$';

async function reportOf(agent: AgentProcess, withinMs?: number): Promise<InterruptionReport> {
  return (await agent.says('Interruption report', undefined, withinMs))['report'] as InterruptionReport;
}

describe('a node is called drained', { concurrency: 4 }, () => {
  test('only when pods that a silent watch did not show are gone too', async () => {
    await using scene = await ClusterScene.start({ hasProxy: true });
    const agent = await scene.startReadyAgent({ ...short, OUT_OF_SERVICE_TAINT: 'true' });
    scene.proxy.silenceWatches();
    for (const name of ['a', 'b', 'c']) scene.addPod(name, { stopMs: 500 });
    scene.announceSpot(12_000);
    const drained = await agent.says('Node drained');
    assert.equal(scene.pods.length, 0, 'no pod is left when it is said');
    assert.deepEqual(drained['pods'], { 'arena/a': 'evicted', 'arena/b': 'evicted', 'arena/c': 'evicted' });
  });

  test('only when a list shows no other pod than the one that the silent watch knew', async () => {
    await using scene = await ClusterScene.start({ hasProxy: true });
    scene.addPod('known', { stopMs: 100 });
    const agent = await scene.startReadyAgent(short);
    scene.proxy.silenceWatches();
    scene.addPod('unknown', { stopMs: 1500 });
    scene.announceSpot(12_000);
    await agent.says('Node drained');
    assert.equal(scene.pods.length, 0, 'no pod is left when it is said');
    assert.equal((await reportOf(agent)).pods.length, 2);
  });

  test('for two lists more than the drain costs, one at the notice and one at the end', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a', { stopMs: 300 });
    const agent = await scene.startReadyAgent();
    const lists = () =>
      scene.api.requests.filter(({ method, path }) => method === 'GET' && !path.includes('watch=')).length;
    const before = lists();
    scene.announceSpot(60_000);
    await agent.says('Node drained');
    assert.ok(lists() - before <= 2, `${lists() - before} lists`);
  });

  test('never while no list can be had: the report says that it is not known, and nothing is tainted out of service', async () => {
    await using scene = await ClusterScene.start();
    const agent = await scene.startReadyAgent({ ...short, OUT_OF_SERVICE_TAINT: 'true' });
    scene.api.faults.add({ path: podList, fault: { kind: 'status', status: 503 } });
    scene.announceSpot(8000);
    const report = await reportOf(agent);
    assert.deepEqual([report.outcome, report.pods_left], ['unknown', null]);
    assert.deepEqual(agent.said('Node drained'), []);
    assert.deepEqual(scene.taints, ['spotable.dev/interruption=spot-termination']);
    assert.doesNotMatch((await agent.get('/metrics')).text, /^spotable_pods_alive_at_deadline\{/m);
    await eventually('it stands in the events', () => scene.kubeEvents('DrainUnknown').length === 1);
    assert.ok(!(await scene.nodeStates()).includes('drained'));
  });

  test('never where the pods could not be listed from the start on', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    scene.api.faults.add({ path: '/api/v1/pods\\?', fault: { kind: 'status', status: 503 } });
    const agent = await scene.startAgent(short);
    scene.announceSpot(8000);
    const report = await reportOf(agent);
    assert.deepEqual([report.outcome, report.pods_left], ['unknown', null]);
    assert.doesNotMatch((await agent.get('/metrics')).text, /^spotable_pods_alive_at_deadline\{/m);
  });

  test('never where there is no node of that name', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    const agent = await scene.startAgent({ ...short, NODE_NAME: 'ip-10-0-0-99' });
    scene.announceSpot(8000);
    assert.equal((await reportOf(agent)).outcome, 'unknown');
    assert.deepEqual(agent.said('Node drained'), []);
  });

  test('though a finalizer keeps a finished pod listed', async () => {
    await using scene = await ClusterScene.start();
    const job = scene.addPod('job', { finalizers: ['batch.kubernetes.io/job-tracking'], isGameServer: false });
    scene.api.registry.update(
      pods,
      'arena',
      job.name,
      (pod): Pod => ({ ...pod, status: { ...pod.status, phase: 'Succeeded' } }),
      {
        subresource: 'status',
      },
    );
    const agent = await scene.startReadyAgent(short);
    scene.announceSpot(20_000);
    await agent.says('Node drained');
    assert.deepEqual((await reportOf(agent)).pods_left, []);
    assert.equal(scene.pods.length, 1);
  });

  test('and is not declared out of service while a pod that the drain leaves alone runs on it', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('kept', { labels: { 'spotable.dev/drain': 'ignore' } });
    scene.addPod('a');
    const agent = await scene.startReadyAgent({ OUT_OF_SERVICE_TAINT: 'true' });
    scene.announceSpot(60_000);
    await agent.says('Node drained');
    const refused = await agent.says('Node not declared out of service: pods that the drain leaves alone are running');
    assert.deepEqual(refused['kept'], ['arena/kept']);
    assert.deepEqual(scene.taints, ['spotable.dev/interruption=spot-termination']);
  });

  test('when its volumes are detached too, where that is asked for', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    const attach = (volumes: readonly string[]) =>
      scene.api.registry.update(
        nodes,
        undefined,
        scene.nodeName,
        (node) => ({
          ...node,
          status: { ...node.status, volumesAttached: volumes.map((name) => ({ name, devicePath: '' })) },
        }),
        { subresource: 'status' },
      );
    attach(['kubernetes.io/csi/ebs.csi.aws.com^vol-1']);
    const agent = await scene.startReadyAgent({ WAIT_FOR_VOLUMES: 'true' });
    scene.announceSpot(60_000);
    await eventually('the pod is gone', () => scene.pods.length === 0);
    const lists = () => scene.calls('GET', /pods\?fieldSelector[^&]*$/);
    const before = lists();
    await eventually('the end was looked at', () => lists() > before);
    assert.deepEqual(agent.said('Node drained'), []);
    attach([]);
    await agent.says('Node drained');
  });
});

describe('at the deadline', { concurrency: 4 }, () => {
  test('a pod whose containers have ended is not alive, though its end shows later', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a', { stopMs: 60_000, lagMs: 8000 });
    const agent = await scene.startReadyAgent({ SAFETY_MARGIN: '2s' });
    const deadlineMs = scene.announceSpot(9000);
    const report = await reportOf(agent);
    assert.ok(Date.now() <= deadlineMs + 1000);
    assert.deepEqual([report.outcome, report.pods_left], ['drained', []]);
    assert.equal(scene.pods.length, 1, 'it is still listed');
    assert.match((await agent.get('/metrics')).text, /spotable_pods_alive_at_deadline\{kind="spot-termination"\} 0/);
  });

  test('a game that has ended, as its wrapper says, is not alive', async () => {
    await using scene = await ClusterScene.start();
    const pod = scene.addPod('a', { stopMs: 60_000, finalizers: ['example.com/keep'] });
    const agent = await scene.startReadyAgent({ SAFETY_MARGIN: '2s' });
    const wrapper = scene.addWrapper({ ...pod, token: await scene.token(pod) });
    await wrapper.hears('welcome', ({ publishes }) => publishes);
    wrapper.send({ type: 'event', event: wrapper.event('ready') });
    scene.announceSpot(9000);
    await agent.says('Pod termination requested');
    wrapper.send({ type: 'event', event: wrapper.event('terminated') });
    assert.deepEqual((await reportOf(agent)).pods_left, []);
  });

  test('a pod that runs on is alive, and it is said before the instance is taken', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a', { stopMs: 100, finalizers: ['example.com/keep'] });
    const agent = await scene.startReadyAgent({ SAFETY_MARGIN: '2s' });
    const deadlineMs = scene.announceSpot(9000);
    const report = await reportOf(agent);
    const line = agent.said('Interruption report')[0];
    assert.ok((line?.time ?? 0) <= deadlineMs, 'before the deadline');
    assert.ok((line?.time ?? 0) >= deadlineMs - 1000, 'and not seconds before it');
    assert.deepEqual([report.outcome, report.pods_left], ['incomplete', ['arena/a']]);
    assert.match((await agent.get('/metrics')).text, /spotable_pods_alive_at_deadline\{kind="spot-termination"\} 1/);
  });
});
