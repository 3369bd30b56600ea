import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { maintenanceTime } from '../../../sandbox/metadata/notices.ts';
import { ClusterScene } from './scene/cluster-scene.ts';
import { eventually } from './scene/eventually.ts';

describe('the agent as a process', { concurrency: 2 }, () => {
  test('tells every wrapper, cordons, evicts, publishes and reports, each beside the others', async () => {
    await using scene = await ClusterScene.start();
    const pods = ['a', 'b', 'c'].map((name) => scene.addPod(name, { stopMs: 300 }));
    scene.addPod('daemon', { owner: 'DaemonSet' });
    scene.addPod('static', { annotations: { 'kubernetes.io/config.mirror': 'x' } });
    scene.addPod('kept', { labels: { 'spotable.dev/drain': 'ignore' } });
    const agent = await scene.startReadyAgent();
    await agent.says('Instance facts updated');
    const wrappers = pods.map((pod) => scene.addWrapper(pod));
    await Promise.all(wrappers.map((wrapper) => wrapper.hears('welcome')));
    const deadlineMs = scene.announceSpot(60_000);
    for (const wrapper of wrappers) {
      const told = await wrapper.hears('interruption');
      assert.equal(Date.parse(told.deadline ?? ''), deadlineMs);
      assert.equal(Date.parse(told.end_by ?? ''), deadlineMs - 5000);
      assert.equal(told.id, `${exampleInstanceId}/spot-termination`);
    }
    const drained = await agent.says('Node drained');
    assert.deepEqual(drained['pods'], { 'arena/a': 'evicted', 'arena/b': 'evicted', 'arena/c': 'evicted' });
    assert.deepEqual(scene.pods.map(({ metadata }) => metadata.name).sort(), ['daemon', 'kept', 'static']);
    await eventually('the node is cordoned', () => scene.isCordoned);
    assert.deepEqual(scene.taints, ['spotable.dev/interruption=spot-termination']);
    assert.equal(scene.mark?.['cordon_is_ours'], true);
    await eventually(
      'the queue has both node events',
      async () => (await scene.nodeStates()).join() === 'interrupted,drained',
    );
    const { report } = (await agent.says('Interruption report')) as unknown as { report: Record<string, unknown> };
    assert.equal(report['outcome'], 'drained');
    assert.equal(report['wrappers_told'], 3);
    assert.equal(scene.calls('GET', /./) <= 8, true, 'two lists, two watches and no request at notice time');
    assert.match(
      (await agent.get('/metrics')).text,
      /spotable_interruptions_ended_total\{kind="spot-termination",outcome="drained"\} 1/,
    );
    assert.equal(await agent.end('SIGTERM'), 0);
  });

  test('evicts nobody before the node is cordoned, lest replacements come back to it', async () => {
    // The cordon alone is slow, so that evictions would be first if they did not wait for it.
    await using scene = await ClusterScene.start({
      api: { latencyMs: ({ method }) => (method === 'PATCH' ? 50 : 0) },
    });
    scene.addPod('a', { stopMs: 100 });
    const agent = await scene.startReadyAgent();
    scene.announceSpot(30_000);
    await agent.says('Node drained');
    const isCordon = ({ method, path }: { method: string; path: string }) =>
      method === 'PATCH' && path.endsWith('/nodes/n-1');
    const cordon = scene.api.requests.find(isCordon);
    const eviction = scene.api.requests.find(({ path }) => path.endsWith('/eviction'));
    assert.ok(cordon?.status === 200 && eviction?.status === 201);
    // A machine under load may be too slow for the agent to wait for it: it gives the cordon a quarter of a second.
    const askedMs = eviction.atMs - eviction.durationMs;
    const [noticed] = agent.said('Interruption noticed');
    const waitedMs = askedMs - (noticed?.time ?? 0);
    assert.ok(
      cordon.atMs <= askedMs || waitedMs >= 240,
      `evicted ${waitedMs} ms after the notice, and not cordoned yet`,
    );
  });

  test('evicts although the node cannot be cordoned', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a', { stopMs: 100 });
    scene.api.faults.add({ method: 'PATCH', path: '/nodes/n-1$', fault: { kind: 'hang' } });
    const agent = await scene.startReadyAgent();
    scene.announceSpot(30_000);
    const noticed = await agent.says('Interruption noticed');
    const asked = await agent.says('Pod termination requested');
    assert.ok(asked.time - noticed.time < 2000, `${asked.time - noticed.time} ms`);
    assert.equal(scene.isCordoned, false);
  });

  test('deletes a guarded pod when only its own grace is left, and not before', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('guarded', { graceSeconds: 3 });
    scene.guard('guarded');
    const agent = await scene.startReadyAgent({ SAFETY_MARGIN: '1s' });
    const deadlineMs = scene.announceSpot(8000);
    const refused = await agent.says('Eviction refused by budget');
    assert.match(String(refused['reason']), /guarded/);
    const asked = await agent.says('Pod termination requested');
    assert.equal(asked['how'], 'deleted-budget');
    const beforeEndMs = deadlineMs - 1000 - asked.time;
    assert.ok(beforeEndMs <= 4000 && beforeEndMs > 2000, `${beforeEndMs} ms before the end`);
    await agent.says('Node drained');
  });

  test('evicts a guarded pod as soon as its budget agrees', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('guarded');
    scene.guard('guarded');
    const agent = await scene.startReadyAgent();
    scene.announceSpot(60_000);
    await agent.says('Eviction refused by budget');
    scene.unguard('guarded');
    assert.equal((await agent.says('Pod termination requested'))['how'], 'evicted');
  });

  test('shortens a pod that somebody gave more time than the node has', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('slow', { graceSeconds: 600, stopMs: 700_000 });
    await fetch(`${scene.api.url}/api/v1/namespaces/arena/pods/slow`, { method: 'DELETE' });
    const agent = await scene.startReadyAgent({ SAFETY_MARGIN: '1s' });
    const deadlineMs = scene.announceSpot(4000);
    await agent.says('Node drained');
    assert.ok(Date.now() < deadlineMs);
    assert.equal(agent.said('Pod termination requested')[0]?.['how'], 'deleted-outlives');
  });

  test('moves what carries traffic last', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('proxy', { isGameServer: false, labels: { 'spotable.dev/drain': 'last' } });
    scene.addPod('game', { stopMs: 500 });
    const agent = await scene.startReadyAgent();
    scene.announceSpot(60_000);
    await agent.says('Node drained');
    assert.deepEqual(
      scene.kubelet.endings.map(({ name }) => name),
      ['game', 'proxy'],
    );
  });

  test('takes pods that appear while it drains, and after', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('first');
    const agent = await scene.startReadyAgent();
    scene.announceSpot(60_000);
    await agent.says('Node drained');
    scene.addPod('late');
    await agent.says('Pod termination requested', ({ pod }) => pod === 'arena/late');
    await eventually('no pod is left', () => scene.pods.length === 0);
  });

  test('moves the end with the notice, and a later one does not start over', async () => {
    await using scene = await ClusterScene.start();
    const wrapperPod = scene.addPod('a', { stopMs: 60_000 });
    const agent = await scene.startReadyAgent();
    const wrapper = scene.addWrapper(wrapperPod);
    await wrapper.hears('welcome');
    scene.announceSpot(100_000);
    const evicted = await agent.says('Pod termination requested');
    const sooner = scene.announceSpot(20_000);
    await wrapper.hears('interruption', ({ deadline }) => Date.parse(deadline ?? '') === sooner);
    const shortened = await agent.says('Pod termination requested', ({ how }) => how === 'deleted-outlives');
    assert.ok(Number(shortened['gracePeriodSeconds']) < Number(evicted['gracePeriodSeconds']));
    assert.equal(agent.said('Interruption noticed').length, 1);
    assert.equal(agent.said('Interruption changed').length, 1);
  });

  test('gives the node back as it was when the notice is withdrawn', async () => {
    await using scene = await ClusterScene.start();
    scene.changeNode((node) => ({
      ...node,
      spec: { taints: [{ key: 'dedicated', value: 'games', effect: 'NoSchedule' }] },
    }));
    const wrapperPod = scene.addPod('a');
    const agent = await scene.startReadyAgent({ EXCLUDE_FROM_LOAD_BALANCERS: 'true', ON_SPOT_TERMINATION: 'cordon' });
    const wrapper = scene.addWrapper(wrapperPod);
    await wrapper.hears('welcome');
    scene.announceSpot(60_000);
    await agent.says('Node cordoned');
    assert.equal(scene.node.metadata.labels?.['node.kubernetes.io/exclude-from-external-load-balancers'], 'true');
    scene.metadata.withdraw('spot');
    await agent.says('Node uncordoned');
    await wrapper.hears('cancelled');
    assert.equal(scene.isCordoned, false);
    assert.deepEqual(scene.taints, ['dedicated=games']);
    assert.deepEqual([scene.node.metadata.labels ?? {}, scene.mark], [{}, undefined]);
    assert.equal(scene.pods.length, 1);
    await eventually(
      'the inventory hears of it',
      async () => (await scene.nodeStates()).join() === 'at-risk,recovered',
    );
  });

  test('holds a node for a rebalance recommendation and drains it when it becomes a termination', async () => {
    await using scene = await ClusterScene.start();
    const wrapperPod = scene.addPod('a');
    const agent = await scene.startReadyAgent();
    const wrapper = scene.addWrapper(wrapperPod);
    await wrapper.hears('welcome');
    scene.metadata.announce('rebalance', { noticeTime: new Date().toISOString().replace(/\.\d+Z/, 'Z') });
    const risk = await wrapper.hears('interruption');
    assert.deepEqual([risk.kind, risk.deadline], ['rebalance', null]);
    await agent.says('Node cordoned');
    assert.equal(scene.pods.length, 1);
    scene.announceSpot(60_000);
    await wrapper.hears('interruption', ({ kind, deadline }) => kind === 'spot-termination' && deadline !== null);
    await agent.says('Node drained');
    assert.equal(scene.mark?.['cordon_is_ours'], true);
    await eventually('in order', async () => (await scene.nodeStates()).join() === 'at-risk,interrupted,drained');
  });

  test('holds a node for a maintenance of tomorrow, and drains it for one of today', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    const agent = await scene.startReadyAgent();
    const event = (inMs: number) => ({
      NotBefore: maintenanceTime(Date.now() + inMs),
      Code: 'system-reboot' as const,
      Description: 'reboot',
      EventId: 'instance-event-1',
      State: 'active' as const,
    });
    scene.metadata.announce('maintenance', [event(86_400_000)]);
    assert.equal((await agent.says('Interruption noticed'))['response'], 'hold');
    await agent.says('Node cordoned');
    assert.equal(scene.pods.length, 1);
    scene.metadata.announce('maintenance', [event(60_000)]);
    assert.equal((await agent.says('Interruption changed'))['response'], 'drain');
    await agent.says('Node drained');
    scene.metadata.announce('maintenance', [{ ...event(60_000), State: 'completed' }]);
    await agent.says('Node uncordoned');
    assert.equal(scene.isCordoned, false);
  });

  test('drains a node that its group is about to terminate, within the time it takes for given', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    const agent = await scene.startReadyAgent({ ASSUMED_NOTICE: '20s' });
    scene.metadata.announce('asg', { state: 'InService' });
    scene.metadata.announce('asg', { state: 'Terminated' });
    const noticed = await agent.says('Interruption noticed');
    assert.deepEqual([noticed['kind'], noticed['leftMs']], ['asg-termination', 20_000]);
    await agent.says('Node drained');
  });

  test('has no two minutes when the instance is hibernated', async () => {
    await using scene = await ClusterScene.start();
    const wrapperPod = scene.addPod('a', { stopMs: 60_000 });
    const agent = await scene.startReadyAgent();
    const wrapper = scene.addWrapper(wrapperPod);
    await wrapper.hears('welcome');
    scene.announceSpot(120_000, 'hibernate');
    const told = await wrapper.hears('interruption');
    assert.ok(Date.parse(told.deadline ?? '') <= Date.now());
    assert.equal((await agent.says('Pod termination requested'))['gracePeriodSeconds'], 1);
    await agent.says('Node drained');
  });

  test('answers a notice whose deadline has passed with all it has left', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a', { stopMs: 60_000 });
    scene.announceSpot(-3000);
    const agent = await scene.startAgent();
    assert.ok(Number((await agent.says('Interruption noticed'))['leftMs']) < 0);
    // Half a minute after the deadline a pod gets its own grace again, and a busy machine may need as long to start an
    // agent.
    await agent.says('Node drained', undefined, 90_000);
    assert.equal(scene.isCordoned, true);
  });

  test('declares a drained node out of service where it is asked to, and takes that back too', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    const agent = await scene.startReadyAgent({ OUT_OF_SERVICE_TAINT: 'true' });
    scene.announceSpot(60_000);
    await agent.says('Node drained');
    await eventually('tainted', () => scene.taints.includes('node.kubernetes.io/out-of-service=nodeshutdown'));
    scene.metadata.withdraw('spot');
    await agent.says('Node uncordoned');
    assert.deepEqual(scene.taints, []);
  });

  test('only says what it would do in a dry run', async () => {
    await using scene = await ClusterScene.start();
    const wrapperPod = scene.addPod('a');
    const agent = await scene.startReadyAgent({ DRY_RUN: 'true' });
    const wrapper = scene.addWrapper(wrapperPod);
    await wrapper.hears('welcome');
    scene.announceSpot(60_000);
    await agent.says('Dry run: would tell wrappers');
    await agent.says('Dry run: would patch node');
    assert.equal((await agent.says('Dry run: would evict pod'))['pod'], 'arena/a');
    await agent.says('Node drained');
    assert.deepEqual([scene.isCordoned, scene.mark, scene.pods.length], [false, undefined, 1]);
    assert.deepEqual(wrapper.all('interruption'), []);
    assert.deepEqual(await scene.nodeStates(), []);
    assert.equal(scene.calls('PATCH', /./) + scene.calls('POST', /eviction|events/), 0);
  });
});

const exampleInstanceId = 'i-0123456789abcdef0';
