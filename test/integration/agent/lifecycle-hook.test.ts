import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Departure, LifecycleHook } from '../../../agent/auto-scaling/lifecycle-hook.ts';
import { systemClock } from '../../../shared/clock.ts';
import { silentLog } from '../../../shared/log.ts';
import { type AutoScaling, startAutoScaling } from './scene/auto-scaling.ts';
import { ClusterScene } from './scene/cluster-scene.ts';
import { eventually } from './scene/eventually.ts';

const instanceId = 'i-0123456789abcdef0';
const action = { AutoScalingGroupName: 'game-servers', InstanceId: instanceId, LifecycleHookName: 'drain' };
const described = { Action: 'DescribeAutoScalingInstances', 'InstanceIds.member.1': instanceId };
const beat = { Action: 'RecordLifecycleActionHeartbeat', ...action };
const completed = { Action: 'CompleteLifecycleAction', ...action, LifecycleActionResult: 'CONTINUE' };

function environment({ url }: AutoScaling): Record<string, string> {
  return { LIFECYCLE_HOOK: 'drain', AWS_ENDPOINT_URL_AUTO_SCALING: url };
}

const named = (autoScaling: AutoScaling, name: string) =>
  autoScaling.calls.filter(({ Action }) => Action === name).length;

describe('a lifecycle hook of the Auto Scaling group', { concurrency: 2 }, () => {
  test('is kept open while pods go, and completed as soon as they have gone, once', async () => {
    await using scene = await ClusterScene.start();
    await using autoScaling = await startAutoScaling('game-servers');
    scene.addPod('a', { stopMs: 4000 });
    const agent = await scene.startReadyAgent(environment(autoScaling));
    assert.deepEqual(autoScaling.calls, []);
    scene.metadata.announce('asg', { state: 'Terminated' });
    await eventually('the hook is kept open', () => autoScaling.calls.length === 2);
    assert.deepEqual(autoScaling.calls, [described, beat]);
    assert.equal(scene.pods.length, 1, 'the pod is still there');
    await agent.says('Node drained');
    await agent.says('Lifecycle action completed');
    const before = scene.metadata.requests.length;
    await eventually('some looks more', () => scene.metadata.requests.length > before + 20);
    assert.deepEqual(autoScaling.calls, [described, beat, completed]);
  });

  test('is completed at the end of the notice too, when pods are left', async () => {
    await using scene = await ClusterScene.start();
    await using autoScaling = await startAutoScaling('game-servers');
    scene.addPod('stubborn', { stopMs: 120_000 });
    const agent = await scene.startReadyAgent({
      ...environment(autoScaling),
      ASSUMED_NOTICE: '10s',
      SAFETY_MARGIN: '1s',
    });
    scene.metadata.announce('asg', { state: 'Terminated' });
    await agent.says('Lifecycle action completed');
    assert.equal(named(autoScaling, 'CompleteLifecycleAction'), 1);
  });

  test('is let alone when the group changes its mind', async () => {
    await using scene = await ClusterScene.start();
    await using autoScaling = await startAutoScaling('game-servers');
    scene.addPod('a', { stopMs: 20_000 });
    const agent = await scene.startReadyAgent(environment(autoScaling));
    scene.metadata.announce('asg', { state: 'Terminated' });
    await eventually('the hook is kept open', () => named(autoScaling, 'RecordLifecycleActionHeartbeat') === 1);
    scene.metadata.announce('asg', { state: 'InService' });
    await agent.says('Node uncordoned');
    const before = scene.metadata.requests.length;
    await eventually('some looks more', () => scene.metadata.requests.length > before + 20);
    assert.equal(named(autoScaling, 'CompleteLifecycleAction'), 0);
  });

  for (const [what, settings] of [
    ['none is named', { ON_ASG_TERMINATION: 'drain' }],
    ['the agent only cordons', { LIFECYCLE_HOOK: 'drain', ON_ASG_TERMINATION: 'cordon' }],
    ['the agent only says what it would do', { LIFECYCLE_HOOK: 'drain', DRY_RUN: 'true' }],
  ] as const)
    test(`is let alone where ${what}`, async () => {
      await using scene = await ClusterScene.start();
      await using autoScaling = await startAutoScaling('game-servers');
      const { LIFECYCLE_HOOK: _, ...unhooked } = environment(autoScaling);
      const agent = await scene.startReadyAgent({ ...unhooked, ...settings });
      scene.metadata.announce('asg', { state: 'Terminated' });
      await agent.says('Interruption noticed');
      const before = scene.metadata.requests.length;
      await eventually('some looks more', () => scene.metadata.requests.length > before + 30);
      assert.deepEqual(autoScaling.calls, []);
    });

  test('keeps nobody from the drain where the rights are missing, which is said once', async () => {
    await using scene = await ClusterScene.start();
    await using autoScaling = await startAutoScaling('game-servers');
    for (const name of ['DescribeAutoScalingInstances', 'CompleteLifecycleAction'])
      autoScaling.refused.set(name, 'AccessDenied');
    scene.addPod('a');
    const agent = await scene.startReadyAgent(environment(autoScaling));
    scene.metadata.announce('asg', { state: 'Terminated' });
    const said = await agent.says('Cannot reach Auto Scaling');
    assert.match(String(said['err']), /AccessDenied/);
    await agent.says('Node drained');
    autoScaling.refused.clear();
    await agent.says('Lifecycle action completed');
    assert.equal(agent.said('Cannot reach Auto Scaling').length, 1);
  });
});

test('heartbeats go on until nothing keeps the instance, and nobody is left to be told', async (t) => {
  await using autoScaling = await startAutoScaling('game-servers');
  Object.assign(process.env, { AWS_ENDPOINT_URL_AUTO_SCALING: autoScaling.url });
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x' });
  autoScaling.refused.set('RecordLifecycleActionHeartbeat', 'ValidationError');
  const state: { departure: Departure; isReporting: boolean } = { departure: 'leaving', isReporting: true };
  const stop = new AbortController();
  t.after(() => stop.abort());
  const running = new LifecycleHook({
    hookName: 'drain',
    place: () => ({ region: 'eu-west-1', instanceId }),
    departure: () => state.departure,
    isReporting: () => state.isReporting,
    clock: systemClock,
    log: silentLog,
    heartbeatMs: 50,
  }).run(stop.signal);
  await eventually('the group is known', () => autoScaling.calls.length === 1);
  // The group says so some moments before the hook waits.
  autoScaling.refused.clear();
  await eventually('several heartbeats', () => named(autoScaling, 'RecordLifecycleActionHeartbeat') >= 3);
  state.departure = 'done';
  const beats = named(autoScaling, 'RecordLifecycleActionHeartbeat');
  await eventually('heartbeats go on', () => named(autoScaling, 'RecordLifecycleActionHeartbeat') > beats + 1);
  assert.equal(named(autoScaling, 'CompleteLifecycleAction'), 0);
  state.isReporting = false;
  await eventually('it is completed', () => named(autoScaling, 'CompleteLifecycleAction') === 1);
  stop.abort();
  await running;
  assert.equal(named(autoScaling, 'DescribeAutoScalingInstances'), 1);
});
