import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AgentProcess } from './scene/agent-process.ts';
import { ClusterScene } from './scene/cluster-scene.ts';
import { eventually } from './scene/eventually.ts';

describe('a rehearsal', { concurrency: 2 }, () => {
  test('is a drain like any other, marked as a rehearsal everywhere, and undone at its end', async () => {
    await using scene = await ClusterScene.start();
    const wrapperPod = scene.addPod('a', { stopMs: 300 });
    const agent = await scene.startReadyAgent();
    const wrapper = scene.addWrapper(wrapperPod);
    await wrapper.hears('welcome');
    scene.annotate({ 'spotable.dev/rehearse': '10s' });
    const told = await wrapper.hears('interruption');
    assert.deepEqual([told.kind, told.action], ['rehearsal', 'none']);
    await agent.says('Node drained');
    assert.deepEqual(scene.taints, ['spotable.dev/interruption=rehearsal']);
    const { report } = (await agent.says('Interruption report')) as unknown as { report: Record<string, unknown> };
    assert.equal(report['is_rehearsal'], true);
    await agent.says('Node uncordoned');
    assert.deepEqual([scene.isCordoned, scene.mark, scene.taints], [false, undefined, []]);
    assert.equal(scene.node.metadata.annotations?.['spotable.dev/rehearse'], undefined);
    await eventually('in order', async () => (await scene.nodeStates()).join() === 'interrupted,drained,recovered');
    const events = (await scene.events()).filter(({ type }) => type.includes('.node.'));
    assert.ok(events.every(({ data }) => 'kind' in data && data.kind === 'rehearsal'));
    assert.match(
      (await agent.get('/metrics')).text,
      /interruptions_ended_total\{kind="rehearsal",outcome="drained"\} 1/,
    );
    assert.equal(agent.said('Interruption noticed').length, 1);
  });

  test('is refused below the minimum and while something real is pending, and the request is taken off', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    const agent = await scene.startReadyAgent();
    scene.annotate({ 'spotable.dev/rehearse': '3s' });
    await agent.says('Rehearsal refused');
    const isOff = () => scene.node.metadata.annotations?.['spotable.dev/rehearse'] === undefined;
    await eventually('the request is off', isOff);
    scene.metadata.announce('rebalance', { noticeTime: new Date().toISOString().replace(/\.\d+Z/, 'Z') });
    await agent.says('Node cordoned');
    scene.annotate({ 'spotable.dev/rehearse': '30s' });
    await agent.says('Rehearsal refused', ({ reason }) => String(reason).includes('is pending'));
    await eventually('the request is off', isOff);
    assert.equal(scene.pods.length, 1);
    assert.ok(scene.mark !== undefined);
    await eventually('it stands in the events', () =>
      scene.api.requests.some(({ method, path }) => method === 'POST' && path.endsWith('/default/events')),
    );
  });
});

describe('a wrapper with a token', { concurrency: 2 }, () => {
  test('publishes through the agent when its token is bound to its pod', async () => {
    await using scene = await ClusterScene.start();
    const pod = scene.addPod('a');
    const agent = await scene.startReadyAgent();
    const wrapper = scene.addWrapper({ ...pod, token: await scene.token(pod) });
    await wrapper.hears('welcome', ({ publishes }) => publishes);
    const event = wrapper.event('ready');
    wrapper.send({ type: 'event', event });
    assert.deepEqual((await wrapper.hears('published')).ids, [event.id]);
    assert.deepEqual(await scene.events(), [event]);
    assert.equal(scene.calls('POST', /tokenreviews/), 1);
    assert.deepEqual(agent.said('Wrapper not verified'), []);
  });

  const wrong = [
    [
      'of another audience',
      async (scene: ClusterScene, pod: { name: string; uid: string; namespace: string }) =>
        scene.token(pod, 'https://kubernetes.default.svc'),
    ],
    ['that is garbage', async () => 'garbage'],
    ['of another pod', async (scene: ClusterScene) => scene.token(scene.addPod('b'))],
  ] as const;
  for (const [what, tokenFor] of wrong)
    test(`${what} is told of interruptions and publishes nothing`, async () => {
      await using scene = await ClusterScene.start();
      const pod = scene.addPod('a');
      const agent = await scene.startReadyAgent();
      const wrapper = scene.addWrapper({ ...pod, token: await tokenFor(scene, pod) });
      await agent.says('Wrapper not verified');
      wrapper.send({ type: 'event', event: wrapper.event('ready') });
      await wrapper.hears('error');
      scene.announceSpot(60_000);
      await wrapper.hears('interruption');
      assert.ok(wrapper.all('welcome').every(({ publishes }) => !publishes));
      assert.ok((await scene.events()).every(({ type }) => type.includes('.node.')));
    });

  test('is verified later when the API server was away at its hello', async () => {
    await using scene = await ClusterScene.start();
    const pod = scene.addPod('a');
    await scene.startReadyAgent();
    const token = await scene.token(pod);
    const fault = scene.api.faults.add({ path: 'tokenreviews', fault: { kind: 'status', status: 503 } });
    const wrapper = scene.addWrapper({ ...pod, token });
    assert.equal((await wrapper.hears('welcome')).publishes, false);
    scene.api.faults.remove(fault);
    await wrapper.hears('welcome', ({ publishes }) => publishes);
  });
});

describe('bad input', { concurrency: 2 }, () => {
  async function ends(env: Readonly<Record<string, string>>, args: readonly string[] = []) {
    const agent = new AgentProcess(env, args);
    return { status: await agent.exit(), problems: agent.problems };
  }

  test('of several kinds is reported in one line each, all at once', async () => {
    const { status, problems } = await ends({ POLL_INTERVAL: 'soon', ON_REBALANCE: 'panic' });
    assert.equal(status, 78);
    assert.deepEqual(
      problems.map((line) => line.split(':').slice(0, 2).join(':')),
      [
        'spotable-agent: Missing --node-name or NODE_NAME',
        'spotable-agent: Invalid POLL_INTERVAL "soon"',
        'spotable-agent: Invalid ON_REBALANCE "panic"',
      ],
    );
  });

  test('in a flag is told apart by its status', async () => {
    const { status, problems } = await ends({ NODE_NAME: 'n-1' }, ['--no-such-flag']);
    assert.deepEqual([status, problems.length], [64, 1]);
  });

  test('in the kubeconfig is one line without a stack', async () => {
    const { status, problems } = await ends({
      NODE_NAME: 'n-1',
      KUBECONFIG: '/nonexistent/kubeconfig',
      METRICS_PORT: 'none',
    });
    assert.equal(status, 78);
    assert.equal(problems.length, 1);
    assert.match(
      problems[0] ?? '',
      /^spotable-agent: Cannot load the Kubernetes configuration: .*\/nonexistent\/kubeconfig/,
    );
  });

  test('an unreachable queue and metadata service end nothing', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    const agent = await scene.startAgent({
      QUEUE_URL: 'http://127.0.0.1:1/000000000000/none',
      AWS_ENDPOINT_URL_SQS: 'http://127.0.0.1:1',
      METADATA_ENDPOINT: 'http://127.0.0.1:1',
    });
    await agent.says('Cannot read interruption notices');
    scene.annotate({ 'spotable.dev/rehearse': '20s' });
    await agent.says('Node drained');
    await agent.says('Cannot publish inventory events');
    assert.equal(await agent.end('SIGTERM'), 0);
    await agent.says('Inventory events lost');
  });
});
