import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterScene } from './scene/cluster-scene.ts';
import { eventually } from './scene/eventually.ts';

describe('an agent that ends in the midst of it', { concurrency: 4 }, () => {
  // Each line is the last thing that the killed agent says: behind it lies the next await of the flow.
  const moments = [
    'Interruption noticed',
    'Wrappers notified',
    'Node cordoned',
    'Eviction refused by budget',
    'Pod termination requested',
    'Node drained',
  ] as const;
  for (const moment of moments)
    test(`is taken up by the next one when it is killed after "${moment}"`, async () => {
      await using scene = await ClusterScene.start();
      const wrapperPod = scene.addPod('a', { stopMs: 300 });
      scene.addPod('guarded', { graceSeconds: 2, stopMs: 100 });
      if (moment !== 'Node drained') scene.guard('guarded');
      const killed = await scene.startReadyAgent({ SAFETY_MARGIN: '1s' });
      const wrapper = scene.addWrapper(wrapperPod);
      await wrapper.hears('welcome');
      const deadlineMs = scene.announceSpot(14_000);
      await killed.says(moment);
      await killed.end();
      const next = await scene.startAgent({ SAFETY_MARGIN: '1s' });
      await next.says('Node drained');
      for (const { atMs } of scene.kubelet.endings) assert.ok(atMs < deadlineMs);
      assert.equal(scene.isCordoned, true);
      assert.equal(scene.mark?.['cordon_is_ours'], true);
      assert.equal(Date.parse((await wrapper.hears('interruption')).deadline ?? ''), deadlineMs);
      assert.deepEqual(
        scene.kubelet.endings.filter(({ wasKilled }) => wasKilled),
        [],
      );
    });

  test('goes on with its drain after SIGTERM until it is done', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a', { stopMs: 2000 });
    const agent = await scene.startReadyAgent();
    scene.announceSpot(60_000);
    await agent.says('Pod termination requested');
    agent.signal('SIGTERM');
    await agent.says('Shutdown requested: drain continues');
    assert.equal(await agent.exit(), 0);
    assert.equal(agent.said('Node drained').length, 1);
    assert.equal((await scene.nodeStates()).join(), 'interrupted,drained');
  });

  test('hands over what it could not finish in time', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('guarded');
    scene.guard('guarded');
    const first = await scene.startReadyAgent({ SHUTDOWN_TIME: '500ms' });
    scene.announceSpot(60_000);
    await first.says('Eviction refused by budget');
    first.signal('SIGTERM');
    assert.equal(await first.exit(), 0);
    assert.equal((await first.says('Interruption handed over'))['isDrained'], false);
    assert.equal(scene.isCordoned, true);
    scene.unguard('guarded');
    const next = await scene.startAgent();
    await next.says('Interruption resumed');
    await next.says('Node drained');
  });

  test('ends at once at the second SIGTERM', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('guarded');
    scene.guard('guarded');
    const agent = await scene.startReadyAgent();
    scene.announceSpot(60_000);
    await agent.says('Eviction refused by budget');
    agent.signal('SIGTERM');
    await agent.says('Shutdown requested: drain continues');
    const secondMs = performance.now();
    agent.signal('SIGTERM');
    assert.equal(await agent.exit(), 0);
    assert.ok(performance.now() - secondMs < 4000);
  });
});

describe('a node that comes back', { concurrency: 2 }, () => {
  const mark = (fields: Readonly<Record<string, unknown>>) => ({
    'spotable.dev/interruption': JSON.stringify({
      id: 'i-0123456789abcdef0/spot-termination',
      kind: 'spot-termination',
      action: 'stop',
      response: 'drain',
      deadline: new Date(Date.now() - 3_600_000).toISOString(),
      first_seen: new Date(Date.now() - 3_720_000).toISOString(),
      cordon_is_ours: true,
      ...fields,
    }),
  });

  async function comesBack(fields: Readonly<Record<string, unknown>>): Promise<void> {
    await using scene = await ClusterScene.start();
    scene.changeNode((node) => ({ ...node, spec: { unschedulable: true } }));
    scene.annotate(mark(fields));
    const wrapperPod = scene.addPod('new');
    const agent = await scene.startAgent();
    const wrapper = scene.addWrapper(wrapperPod);
    await agent.says('Node uncordoned');
    assert.equal(scene.isCordoned, false);
    assert.equal(scene.pods.length, 1);
    await wrapper.hears('welcome');
    assert.deepEqual(wrapper.all('interruption'), [], 'no game of the new life hears of the old end');
    await eventually('the inventory hears of it', async () => (await scene.nodeStates()).includes('recovered'));
  }

  test('after a stop is given back, and nothing on it is drained', () => comesBack({}));
  test('after the reboot of a maintenance is given back', () =>
    comesBack({ id: 'instance-event-1', kind: 'maintenance', action: 'reboot' }));
  test('after an agent was killed in a rebalance hold that has run out is given back', () =>
    comesBack({
      id: 'i-0123456789abcdef0/rebalance',
      kind: 'rebalance',
      action: 'none',
      response: 'hold',
      deadline: null,
    }));

  test('with a mark that makes no sense is left as it is', async () => {
    await using scene = await ClusterScene.start();
    scene.changeNode((node) => ({ ...node, spec: { unschedulable: true } }));
    scene.annotate({ 'spotable.dev/interruption': '{"id":' });
    scene.addPod('a');
    const agent = await scene.startReadyAgent();
    scene.announceSpot(60_000);
    await agent.says('Node drained');
    assert.equal(scene.mark?.['cordon_is_ours'], false);
  });
});

describe('an API server in trouble', { concurrency: 2 }, () => {
  test('that is away from the notice on delays no wrapper, and is caught up with when it is back', async () => {
    await using scene = await ClusterScene.start();
    const wrapperPod = scene.addPod('a');
    const agent = await scene.startReadyAgent();
    const wrapper = scene.addWrapper(wrapperPod);
    await wrapper.hears('welcome');
    scene.api.faults.add({ id: 'away', path: '^/api', fault: { kind: 'hang' } });
    scene.announceSpot(60_000);
    const noticed = await agent.says('Interruption noticed');
    await wrapper.hears('interruption');
    const told = wrapper.heard.find(({ message }) => message.type === 'interruption');
    assert.ok((told?.atMs ?? Number.POSITIVE_INFINITY) - noticed.time < 250);
    scene.api.faults.remove('away');
    await agent.says('Node drained');
    await agent.says('Node cordoned');
  });

  test('that is away when the agent starts keeps no wrapper from hearing', async () => {
    await using scene = await ClusterScene.start();
    const wrapperPod = scene.addPod('a');
    scene.api.faults.add({ id: 'away', path: '^/api', fault: { kind: 'reset' } });
    const agent = await scene.startAgent();
    const wrapper = scene.addWrapper(wrapperPod);
    await wrapper.hears('welcome');
    scene.announceSpot(60_000);
    await wrapper.hears('interruption');
    assert.deepEqual(agent.said('Node drained'), [], 'pods that nobody has seen are not gone');
    scene.api.faults.remove('away');
    await agent.says('Node drained');
  });

  test('that is away in the midst of a drain is not asked for each pod, and all go when it is back', async () => {
    await using scene = await ClusterScene.start();
    for (let index = 0; index < 60; index++) scene.addPod(`gs-${index}`, { stopMs: 100 });
    const agent = await scene.startReadyAgent();
    scene.api.faults.add({ id: 'away', path: '/eviction$', fault: { kind: 'reset' } });
    scene.announceSpot(60_000);
    await agent.says('Cannot evict pod');
    await sleep(8000);
    const asked = scene.calls('POST', /\/eviction$/);
    assert.ok(asked < 60, `${asked} calls in 8 seconds`);
    scene.api.faults.remove('away');
    await agent.says('Node drained');
    assert.equal(scene.pods.length, 0);
  });

  test('that sends garbage for a list is not taken for one without pods', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    scene.api.faults.add({ id: 'odd', path: '/pods\\?', fault: { kind: 'garbage', body: '{"kind":"PodList"}' } });
    const agent = await scene.startAgent();
    scene.announceSpot(60_000);
    await agent.says('Wrappers notified');
    await eventually('it was counted', async () =>
      /spotable_garbage_total\{source="kubernetes"\} \d/.test((await agent.get('/metrics')).text),
    );
    assert.deepEqual(agent.said('Node drained'), []);
    scene.api.faults.remove('odd');
    await agent.says('Node drained');
    assert.equal(scene.pods.length, 0);
  });

  test('that answers everything with garbage for a while is not believed', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a', { stopMs: 300 });
    const agent = await scene.startReadyAgent();
    scene.api.faults.add({ id: 'odd', path: '^/api', fault: { kind: 'garbage' } });
    scene.announceSpot(60_000);
    await agent.says('Cannot patch node');
    await agent.says('Cannot evict pod');
    scene.api.faults.remove('odd');
    await agent.says('Node drained');
    await agent.says('Node cordoned');
    assert.equal(scene.isCordoned, true);
    assert.equal(agent.said('Pod termination requested').length, 1);
  });

  test('that fails calls at random keeps no pod from going', async () => {
    await using scene = await ClusterScene.start();
    for (let index = 0; index < 30; index++) scene.addPod(`gs-${index}`, { stopMs: 100 });
    const agent = await scene.startReadyAgent();
    for (const fault of [
      { kind: 'status', status: 500 },
      { kind: 'status', status: 429, headers: { 'retry-after': '1' } },
      { kind: 'reset' },
    ] as const)
      scene.api.faults.add({ method: 'POST', fault, probability: 0.25 });
    scene.api.faults.add({ method: 'PATCH', fault: { kind: 'status', status: 503 }, times: 3 });
    const deadlineMs = scene.announceSpot(30_000);
    await agent.says('Node drained', undefined, 30_000);
    await agent.says('Node cordoned');
    assert.ok(Date.now() < deadlineMs);
  });

  test('that forgets its history is listed again, and no pod is missed', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    const agent = await scene.startReadyAgent();
    scene.api.store.forgetHistory();
    scene.api.faults.add({ path: 'watch=true', fault: { kind: 'status', status: 410 }, times: 2 });
    scene.addPod('b');
    scene.announceSpot(60_000);
    await agent.says('Node drained');
    await eventually('both are gone', () => scene.pods.length === 0);
  });

  test('with 110 pods, 20 budgets, half a second a call and five calls a second still lets all go in time', async () => {
    await using scene = await ClusterScene.start({
      api: { latencyMs: ({ path }) => (path.includes('watch=') ? 0 : 500), rateLimit: { callsPerSecond: 5, burst: 5 } },
    });
    for (let index = 0; index < 110; index++) {
      const name = `gs-${index}`;
      scene.addPod(name, { graceSeconds: 10, isGameServer: index % 2 === 0, stopMs: 200 });
      if (index < 20) scene.guard(name);
    }
    const agent = await scene.startReadyAgent({ POLL_INTERVAL: '1s' });
    const deadlineMs = scene.announceSpot(50_000);
    await agent.says('Node drained', undefined, 60_000);
    assert.ok(Date.now() < deadlineMs, 'before the deadline');
    assert.deepEqual(
      scene.kubelet.endings.filter(({ wasKilled }) => wasKilled),
      [],
    );
    const hows = agent.said('Pod termination requested').map(({ how }) => how);
    assert.deepEqual(
      [hows.filter((how) => how === 'evicted').length, hows.filter((how) => how === 'deleted-budget').length],
      [90, 20],
    );
  });
});
