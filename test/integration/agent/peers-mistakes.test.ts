import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clusterRoleBindings, clusterRoles } from '../../../sandbox/kubernetes/registry/table.ts';
import { isoSeconds } from '../../../sandbox/metadata/notices.ts';
import { ClusterScene } from './scene/cluster-scene.ts';
import { eventually } from './scene/eventually.ts';
import { startHook } from './scene/hook.ts';

/** A node held for a rebalance recommendation of so long ago. */
function recommendRebalance(scene: ClusterScene, agoMs = 0): void {
  scene.metadata.announce('rebalance', { noticeTime: isoSeconds(Date.now() - agoMs) });
}

function looks(scene: ClusterScene, path: string): number {
  return scene.metadata.requests.filter((request) => request.path.startsWith(path)).length;
}

const spotPath = '/latest/meta-data/spot/instance-action';

describe('mistakes of others that this agent does not make', { concurrency: 2 }, () => {
  test('a token that has expired is renewed at the next poll, so that no notice is missed for ever', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    const agent = await scene.startReadyAgent();
    scene.metadata.faults.add({ path: spotPath, fault: { kind: 'status', status: 401 }, times: 1 });
    const before = looks(scene, '/latest/api/token');
    await eventually('a new token is asked for', () => looks(scene, '/latest/api/token') > before);
    scene.announceSpot(60_000);
    await agent.says('Node drained');
    // On a busy machine an answer may come too late, which is another matter.
    const refused = agent.said('Cannot read interruption notices').filter(({ err }) => String(err).includes('401'));
    assert.deepEqual(refused, []);
  });

  test('a metadata service that fails in every way, also at the start, ends neither the agent nor a drain', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a', { stopMs: 1500 });
    scene.metadata.faults.add({ id: 'down', fault: { kind: 'status', status: 503 } });
    const agent = await scene.startAgent();
    await agent.says('Cannot read interruption notices');
    scene.metadata.faults.remove('down');
    scene.announceSpot(60_000);
    await agent.says('Pod termination requested');
    for (const fault of [
      { kind: 'reset' },
      { kind: 'hang' },
      { kind: 'garbage' },
      { kind: 'status', status: 403 },
      { kind: 'status', status: 404 },
    ] as const)
      scene.metadata.faults.add({ fault, probability: 0.4 });
    await agent.says('Node drained');
    assert.deepEqual(agent.said('Interruption cancelled'), []);
    assert.equal(agent.hasExited, false);
  });

  test('one notice is one drain, though it is announced with another time at every poll', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a', { stopMs: 2000 });
    const agent = await scene.startReadyAgent();
    scene.announceSpot(60_000);
    await agent.says('Interruption noticed');
    const before = looks(scene, spotPath);
    for (let extra = 1; extra <= 10; extra++) {
      scene.announceSpot(60_000 + extra * 1000);
      await eventually('another look', () => looks(scene, spotPath) > before + extra);
    }
    await agent.says('Node drained');
    assert.equal(agent.said('Interruption noticed').length, 1);
    assert.equal(scene.calls('POST', /\/eviction$/), 1);
  });

  test('a rebalance that never became an interruption leaves no cordon behind', async () => {
    await using scene = await ClusterScene.start();
    const agent = await scene.startReadyAgent({ REBALANCE_TTL: '4s' });
    recommendRebalance(scene);
    await agent.says('Node cordoned');
    await agent.says('Node uncordoned');
    assert.equal(scene.isCordoned, false);
    const before = looks(scene, '/latest/meta-data/events/recommendations');
    await eventually(
      'some more looks at it',
      () => looks(scene, '/latest/meta-data/events/recommendations') > before + 3,
    );
    assert.equal(agent.said('Interruption noticed').length, 1, 'it is still listed, and not acted upon again');
  });

  test('a rebalance recommendation that ran out before the agent started is not acted upon', async () => {
    await using scene = await ClusterScene.start();
    recommendRebalance(scene, 10_000);
    const agent = await scene.startReadyAgent({ REBALANCE_TTL: '5s' });
    const before = looks(scene, '/latest/meta-data/events/recommendations');
    await eventually('some looks at it', () => looks(scene, '/latest/meta-data/events/recommendations') > before + 2);
    assert.deepEqual(agent.said('Interruption noticed'), []);
  });

  test('a cordon of somebody else is not undone with ours', async () => {
    await using scene = await ClusterScene.start();
    scene.changeNode((node) => ({ ...node, spec: { unschedulable: true } }));
    const agent = await scene.startReadyAgent({ REBALANCE_TTL: '3s' });
    recommendRebalance(scene);
    await agent.says('Interruption mark removed: node stays cordoned by someone else');
    assert.deepEqual(agent.said('Node uncordoned'), []);
    assert.equal(scene.isCordoned, true);
    assert.deepEqual([scene.mark, scene.taints], [undefined, []]);
  });

  test('a node that was cordoned before the agent was killed is drained by the next one', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('guarded');
    scene.guard('guarded');
    const killed = await scene.startReadyAgent();
    const deadlineMs = scene.announceSpot(60_000);
    await killed.says('Eviction refused by budget');
    await killed.says('Node cordoned');
    await killed.end();
    scene.unguard('guarded');
    const next = await scene.startAgent();
    const resumed = await next.says('Interruption resumed');
    assert.equal(Date.parse(String(resumed['deadline'])), deadlineMs);
    await next.says('Node drained');
    assert.equal(scene.mark?.['cordon_is_ours'], true);
  });

  test('a taint is not lost to somebody who writes the node at the same time', async () => {
    await using scene = await ClusterScene.start();
    const agent = await scene.startReadyAgent();
    let writes = 0;
    const writer = setInterval(() => scene.annotate({ other: String(++writes) }), 20);
    try {
      scene.announceSpot(60_000);
      await agent.says('Node cordoned');
    } finally {
      clearInterval(writer);
    }
    assert.ok(writes > 1);
    assert.deepEqual(scene.taints, ['spotable.dev/interruption=spot-termination']);
    assert.ok(scene.mark !== undefined);
  });

  test('a missing right does not look like success: readiness and the log name it', async () => {
    const token = 'agent-token';
    const name = 'system:serviceaccount:spotable:agent';
    await using scene = await ClusterScene.start({
      api: { tokens: { [token]: { name, groups: ['system:authenticated'] } } },
    });
    const rule = { apiGroups: [''], resources: ['nodes', 'pods'], verbs: ['get', 'list', 'watch', 'patch'] };
    grant(scene, name, rule);
    const agent = await scene.startAgent({ KUBECONFIG: await scene.kubeconfig(token) });
    const missing = await agent.says('Kubernetes rights missing');
    assert.deepEqual(missing['missing'], ['create pods/eviction']);
    const { status, text } = await agent.get('/readyz');
    assert.equal(status, 503);
    assert.match(text, /missing right: create pods\/eviction/);
    assert.match(text, /does without: delete pods/);
    assert.equal((await agent.get('/livez')).status, 200);
    assert.match((await agent.get('/metrics')).text, /spotable_missing_rights 1/);
  });

  test('an agent without rights on events and token reviews does without, and says so once', async () => {
    const token = 'agent-token';
    const name = 'system:serviceaccount:spotable:agent';
    await using scene = await ClusterScene.start({
      api: { tokens: { [token]: { name, groups: ['system:authenticated'] } } },
    });
    grant(
      scene,
      name,
      { apiGroups: [''], resources: ['nodes', 'pods'], verbs: ['get', 'list', 'watch', 'patch', 'delete'] },
      { apiGroups: [''], resources: ['pods/eviction'], verbs: ['create'] },
    );
    for (const pod of ['a', 'b', 'c']) scene.addPod(pod);
    const agent = await scene.startReadyAgent({ KUBECONFIG: await scene.kubeconfig(token) });
    assert.match((await agent.get('/readyz')).text, /does without: create events/);
    scene.announceSpot(60_000);
    await agent.says('Node drained');
    await agent.says('Kubernetes events are not written');
    await agent.says('Interruption report');
    assert.equal(agent.said('Kubernetes events are not written').length, 1);
  });

  test('liveness fails when the process stands still, and says why when it is asked again', async () => {
    await using scene = await ClusterScene.start();
    const agent = await scene.startReadyAgent();
    const port = await agent.port();
    agent.signal('SIGSTOP');
    const probe = () =>
      fetch(`http://127.0.0.1:${port}/livez`, { signal: AbortSignal.timeout(300) }).then(({ status }) => status);
    await assert.rejects(probe());
    agent.signal('SIGCONT');
    assert.equal(await eventually('it answers again', () => probe().catch(() => undefined)), 200);
  });

  test('the webhook is called at the notice and at the end, and again when it fails', async () => {
    await using scene = await ClusterScene.start();
    await using hook = await startHook(3);
    scene.addPod('a', { stopMs: 300 });
    const agent = await scene.startReadyAgent({ WEBHOOK_URL: `${hook.url}/secret` });
    scene.announceSpot(60_000);
    await agent.says('Interruption report');
    await eventually('both were taken', () => hook.taken.length === 2);
    assert.deepEqual(hook.taken.map(({ outcome }) => outcome).sort(), ['drained', 'under-way']);
    assert.ok(!agent.lines.some((line) => JSON.stringify(line).includes('/secret')), 'the address is a secret');
  });

  test('no series is made for an event, a pod or a node, however many interruptions there are', async () => {
    await using scene = await ClusterScene.start();
    const agent = await scene.startReadyAgent({ ON_SPOT_TERMINATION: 'cordon' });
    const series = async () =>
      (await agent.get('/metrics')).text.split('\n').filter((line) => line.startsWith('spotable_'));
    const once = async (count: number) => {
      scene.announceSpot(60_000);
      await eventually('cordoned', () => agent.said('Node cordoned').length === count);
      scene.metadata.withdraw('spot');
      await eventually('uncordoned', () => agent.said('Node uncordoned').length === count);
    };
    await once(1);
    const first = (await series()).length;
    await once(2);
    await once(3);
    const last = await series();
    assert.equal(last.length, first);
    assert.doesNotMatch(last.join('\n'), /n-1|i-0123456789abcdef0|arena/);
  });

  test('the agent does not evict itself', async () => {
    await using scene = await ClusterScene.start();
    const own = scene.addPod('agent', { isGameServer: false });
    scene.addPod('a');
    const agent = await scene.startReadyAgent({ POD_UID: own.uid });
    scene.announceSpot(60_000);
    await agent.says('Node drained');
    assert.deepEqual(
      scene.pods.map(({ metadata }) => metadata.name),
      ['agent'],
    );
  });

  test('a pod of the same name that came in the place of another is not taken for it', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('db-0', { isGameServer: false, owner: 'StatefulSet' });
    const agent = await scene.startReadyAgent();
    // The eviction is on its way when the pod is another one by now.
    scene.api.faults.add({ path: '/eviction$', fault: { kind: 'delay', delayMs: 2000 }, times: 1 });
    scene.announceSpot(60_000);
    await eventually('the eviction has arrived', () => scene.api.faults.list().length === 0);
    scene.replacePod('db-0', 10_000);
    // The first one is refused for its uid, and the new pod gets one of its own.
    const answers = () =>
      scene.api.requests
        .filter(({ path }) => path.endsWith('/eviction'))
        .map(({ status }) => status)
        // The delayed call may have been given up and repeated on a new connection.
        .filter((status) => status !== 0);
    await eventually(
      () => `409 and 201, not ${answers()}`,
      () => answers().toSorted().join() === '201,409',
    );
    await agent.says('Node drained');
  });
});

interface Rule {
  readonly apiGroups: string[];
  readonly resources: string[];
  readonly verbs: string[];
}

function grant(scene: ClusterScene, user: string, ...rules: Rule[]): void {
  const meta = { name: 'agent' };
  const group = 'rbac.authorization.k8s.io';
  const review = { apiGroups: ['authorization.k8s.io'], resources: ['selfsubjectaccessreviews'], verbs: ['create'] };
  const { registry } = scene.api;
  registry.create(clusterRoles, {
    apiVersion: `${group}/v1`,
    kind: 'ClusterRole',
    metadata: meta,
    rules: [...rules, review],
  });
  registry.create(clusterRoleBindings, {
    apiVersion: `${group}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: meta,
    roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'agent' },
    subjects: [{ kind: 'User', apiGroup: group, name: user }],
  });
}
