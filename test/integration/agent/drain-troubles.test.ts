import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { nodes } from '../../../sandbox/kubernetes/registry/table.ts';
import { ClusterScene } from './scene/cluster-scene.ts';
import { eventually } from './scene/eventually.ts';
import { startHook } from './scene/hook.ts';

/** What the API server answers when an admission webhook of another operator refuses. */
const webhookSays = (status: number, headers: Record<string, string> = {}) => ({
  kind: 'status' as const,
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify({
    apiVersion: 'v1',
    kind: 'Status',
    status: 'Failure',
    reason: status === 429 ? 'TooManyRequests' : 'Forbidden',
    message: 'admission webhook "evictions.example.com" denied the request: not now',
    code: status,
  }),
});

/**
 * Evictions that the API server has accepted. The agent's log may lack lines on a busy machine, because it waits for
 * nobody.
 */
function granted(scene: ClusterScene) {
  return scene.api.requests.filter(({ path, status }) => path.endsWith('/eviction') && status === 201);
}

describe("one pod's trouble", { concurrency: 4 }, () => {
  test('with a webhook that says 429 is answered like a refusal: it gets its own grace, and waits for nobody', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('hooked', { graceSeconds: 3, stopMs: 2500 });
    for (let index = 0; index < 60; index++) scene.addPod(`gs-${index}`, { stopMs: 50 });
    scene.api.faults.add({ path: '/hooked/eviction$', fault: webhookSays(429, { 'retry-after': '10' }) });
    const agent = await scene.startReadyAgent({ SAFETY_MARGIN: '1s' });
    scene.announceSpot(25_000);
    await agent.says('Node drained');
    const evicted = granted(scene);
    const deleted = scene.api.requests.filter(({ method, path }) => method === 'DELETE' && path.endsWith('/hooked'));
    assert.deepEqual([evicted.length, deleted.length], [60, 1]);
    assert.ok(
      evicted.every(({ atMs }) => atMs < (deleted[0]?.atMs ?? 0)),
      'nobody waited for it',
    );
    assert.match((await agent.get('/metrics')).text, /pods_asked_to_go_total\{how="deleted-refused"\} 1/);
    assert.equal(scene.kubelet.endings.find(({ name }) => name === 'hooked')?.wasKilled, false);
  });

  test('with a webhook that forbids delays none that is willing', async () => {
    await using scene = await ClusterScene.start({
      api: { latencyMs: ({ path }) => (path.includes('watch=') ? 0 : 50) },
    });
    // Their graces are longer, so that they are asked first.
    for (let index = 0; index < 90; index++) scene.addPod(`held-${index}`, { graceSeconds: 20, stopMs: 50 });
    for (let index = 0; index < 15; index++) scene.addPod(`gs-${index}`, { graceSeconds: 10, stopMs: 50 });
    scene.api.faults.add({ path: '/held-\\d+/eviction$', fault: webhookSays(403) });
    const agent = await scene.startReadyAgent({ SAFETY_MARGIN: '1s' });
    const deadlineMs = scene.announceSpot(60_000);
    await eventually('the willing were asked', () => granted(scene).length === 15, 60_000);
    assert.ok(Date.now() < deadlineMs - 21_000, 'before any escalation');
    await agent.says('Node drained', undefined, 65_000);
    const { text } = await agent.get('/metrics');
    assert.match(text, /pods_asked_to_go_total\{how="evicted"\} 15/);
    assert.match(text, /pods_asked_to_go_total\{how="deleted-refused"\} \d/);
    assert.doesNotMatch(text, /deleted-budget/);
    assert.match(text, /evictions_refused_total\{by="other"\} \d/);
  });

  test('whose eviction was accepted without effect is found within seconds', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('deaf', { stopMs: 100 });
    const status = { apiVersion: 'v1', kind: 'Status', status: 'Success', code: 201 };
    scene.api.faults.add({
      path: '/eviction$',
      fault: {
        kind: 'status',
        status: 201,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(status),
      },
    });
    const agent = await scene.startReadyAgent();
    const deadlineMs = scene.announceSpot(60_000);
    const asked = await agent.says('Pod termination requested', ({ how }) => how === 'deleted-no-effect');
    assert.ok(deadlineMs - asked.time > 30_000, `${deadlineMs - asked.time} ms were left`);
    await agent.says('Node drained');
  });

  test('whose eviction a proxy answers with a 404 of its own is not taken for gone', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a', { stopMs: 100 });
    const html = {
      kind: 'status' as const,
      status: 404,
      headers: { 'content-type': 'text/html' },
      body: '<h1>Not Found</h1>',
    };
    scene.api.faults.add({ path: '/eviction$', fault: html, times: 1 });
    const agent = await scene.startReadyAgent();
    scene.announceSpot(60_000);
    await agent.says('Cannot evict pod');
    await agent.says('Node drained');
    assert.deepEqual([scene.pods.length, agent.said('Pod termination requested').length], [0, 1]);
  });

  test('of calls without an answer is no refusal of a budget: it is evicted when the API server is back', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a', { graceSeconds: 30, stopMs: 100 });
    const fault = scene.api.faults.add({ path: '/eviction$', fault: { kind: 'reset' } });
    const agent = await scene.startReadyAgent();
    scene.announceSpot(30_000);
    await agent.says('Cannot evict pod');
    await eventually('it was tried several times', () => scene.calls('POST', /eviction$/) >= 4);
    scene.api.faults.remove(fault);
    assert.equal((await agent.says('Pod termination requested'))['how'], 'evicted');
    assert.equal(scene.calls('DELETE', /pods/), 0);
    await agent.says('Node drained');
  });
});

describe('the cordon', { concurrency: 4 }, () => {
  test('goes first after an outage', async () => {
    await using scene = await ClusterScene.start();
    for (let index = 0; index < 5; index++) scene.addPod(`gs-${index}`, { stopMs: 50 });
    const agent = await scene.startReadyAgent();
    scene.api.faults.add({ id: 'away', method: 'PATCH', fault: { kind: 'reset' } });
    scene.api.faults.add({ id: 'away too', method: 'POST', fault: { kind: 'reset' } });
    scene.announceSpot(60_000);
    await agent.says('Cannot patch node');
    await agent.says('Cannot evict pod');
    // Long enough for the keeper of the node to wait longer between two attempts than the drain does.
    await sleep(8000);
    scene.api.faults.clear();
    await agent.says('Node drained');
    const done = scene.api.requests.filter(
      ({ method, path, status }) =>
        (method === 'PATCH' && status === 200) || (path.endsWith('/eviction') && status === 201),
    );
    assert.equal(done[0]?.method, 'PATCH', JSON.stringify(done));
  });

  test('is set again on a node object that was deleted and created again', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('guarded');
    scene.guard('guarded');
    const agent = await scene.startReadyAgent();
    scene.announceSpot(60_000);
    await agent.says('Node cordoned');
    scene.api.registry.delete(nodes, undefined, scene.nodeName, {});
    scene.api.registry.create(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: scene.nodeName }, spec: {} });
    await agent.says('Node object was recreated: marking it again');
    await eventually('it is cordoned', () => scene.isCordoned && scene.mark !== undefined);
  });

  test('stays off where somebody takes it off, and is set again where that is asked for', async () => {
    for (const reasserts of [false, true]) {
      await using scene = await ClusterScene.start();
      scene.addPod('guarded');
      scene.guard('guarded');
      const agent = await scene.startReadyAgent({ REASSERT_MARK: String(reasserts) });
      scene.announceSpot(60_000);
      await agent.says('Node cordoned');
      scene.changeNode((node) => ({ ...node, spec: {} }));
      if (reasserts) await eventually('it is cordoned again', () => scene.isCordoned && scene.taints.length === 1);
      else {
        await sleep(3000);
        assert.equal(scene.isCordoned, false);
      }
    }
  });

  test('is set without its annotation where the node takes no more of them, and taken off again', async () => {
    await using scene = await ClusterScene.start();
    const agent = await scene.startReadyAgent({ ON_SPOT_TERMINATION: 'cordon' });
    const tooLong = {
      ...webhookSays(422),
      body: '{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","message":"metadata.annotations: Too long","code":422}',
    };
    scene.api.faults.add({ method: 'PATCH', path: '/nodes/', fault: tooLong, times: 1 });
    scene.announceSpot(60_000);
    await agent.says('Node marked without annotation: a restarted agent will not know about it');
    assert.deepEqual([scene.isCordoned, scene.mark, scene.taints.length], [true, undefined, 1]);
    scene.metadata.withdraw('spot');
    await agent.says('Node uncordoned');
    assert.deepEqual([scene.isCordoned, scene.taints], [false, []]);
  });

  test('of an agent of another version, whose mark cannot be read, is said and taken off', async () => {
    await using scene = await ClusterScene.start();
    scene.changeNode((node) => ({
      ...node,
      spec: {
        unschedulable: true,
        taints: [{ key: 'spotable.dev/interruption', value: 'capacity-block', effect: 'NoSchedule' }],
      },
    }));
    scene.annotate({
      'spotable.dev/interruption': '{"id":"x","kind":"capacity-block","action":"x","cordon_is_ours":true}',
    });
    const agent = await scene.startReadyAgent();
    await agent.says('Interruption mark on node is unreadable: removing it');
    await agent.says('Node uncordoned');
    assert.deepEqual([scene.isCordoned, scene.taints, scene.mark], [false, [], undefined]);
    await eventually('it stands in the events', () => scene.kubeEvents('MarkUnreadable').length === 1);
  });
});

describe('what is told', { concurrency: 4 }, () => {
  test('of the node stands in its events at once, though a pod waits to the end', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('proxy', { graceSeconds: 2, isGameServer: false, labels: { 'spotable.dev/drain': 'last' } });
    scene.addPod('game', { stopMs: 60_000 });
    const agent = await scene.startReadyAgent({ SAFETY_MARGIN: '1s' });
    const deadlineMs = scene.announceSpot(30_000);
    await eventually('the event is there', () => scene.kubeEvents('InterruptionNoticed').length === 1);
    assert.ok(Date.now() < deadlineMs - 10_000, 'long before the last pod is asked');
    await eventually('and that of the pod', () => scene.kubeEvents('InterruptionDrain').length === 1);
    assert.ok(Date.now() < deadlineMs - 10_000, 'long before the last pod is asked');
    assert.deepEqual(
      agent.said('Pod termination requested').map(({ pod }) => pod),
      ['arena/game'],
    );
  });

  test('when it is over stands in the events, though its account was closed before', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    const agent = await scene.startReadyAgent();
    scene.announceSpot(60_000);
    await agent.says('Node drained');
    scene.metadata.withdraw('spot');
    await agent.says('Node uncordoned');
    await eventually('the event is there', () => scene.kubeEvents('InterruptionCancelled').length === 1);
  });

  test('at the end reaches the webhook, though the agent is asked to end in the midst of the drain', async () => {
    await using scene = await ClusterScene.start();
    await using hook = await startHook(0, 800);
    scene.addPod('a', { stopMs: 1500 });
    const agent = await scene.startReadyAgent({ WEBHOOK_URL: hook.url });
    scene.announceSpot(60_000);
    await agent.says('Pod termination requested');
    agent.signal('SIGTERM');
    assert.equal(await agent.exit(), 0);
    assert.ok(
      hook.taken.some(({ outcome }) => outcome === 'drained'),
      JSON.stringify(hook.taken),
    );
    assert.equal(scene.kubeEvents('NodeDrained').length, 1);
  });

  test('of a rehearsal in a dry run is told once', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    const agent = await scene.startReadyAgent({ DRY_RUN: 'true' });
    scene.annotate({ 'spotable.dev/rehearse': '10s' });
    await agent.says('Interruption cancelled');
    const looks = () => scene.metadata.requests.length;
    const before = looks();
    await eventually('some more looks', () => looks() > before + 20);
    assert.equal(agent.said('Interruption noticed').length, 1);
    // Asked for again, it is played again.
    scene.annotate({ 'spotable.dev/rehearse': '11s' });
    await eventually('another one', () => agent.said('Interruption noticed').length === 2);
  });
});

describe('settings of the drain', { concurrency: 4 }, () => {
  test('choose pods by namespace and label, give each another grace, and keep critical pods for later', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('other', { namespace: 'tools', isGameServer: false });
    scene.addPod('unlabelled', { isGameServer: false });
    scene.addPod('dns', { labels: { tier: 'x' }, isGameServer: false, priority: 2_000_000_000 });
    scene.addPod('web', { labels: { tier: 'x' }, isGameServer: false, stopMs: 800 });
    const agent = await scene.startReadyAgent({
      DRAIN_NAMESPACES: '!tools',
      DRAIN_SELECTOR: 'tier=x',
      GRACE_OVERRIDE: '7s',
    });
    scene.announceSpot(60_000);
    assert.equal((await agent.says('Pod termination requested'))['gracePeriodSeconds'], 7);
    await agent.says('Node drained');
    assert.deepEqual(
      scene.kubelet.endings.map(({ name }) => name),
      ['web', 'dns'],
    );
    assert.deepEqual(scene.pods.map(({ metadata }) => metadata.name).toSorted(), ['other', 'unlabelled']);
  });
});
