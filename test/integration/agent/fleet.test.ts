import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pods } from '../../../sandbox/kubernetes/registry/table.ts';
import { ClusterScene } from './scene/cluster-scene.ts';
import { eventually } from './scene/eventually.ts';

function annotationsOf(scene: ClusterScene, name: string): Readonly<Record<string, string>> {
  return scene.pods.find(({ metadata }) => metadata.name === name)?.metadata.annotations ?? {};
}

function readiness(scene: ClusterScene, name: string): string | undefined {
  const pod = scene.pods.find(({ metadata }) => metadata.name === name);
  return pod?.status.conditions?.find(({ type }) => type === 'spotable.dev/ready')?.status;
}

function label(scene: ClusterScene, name: string, allocation: string, annotations: Record<string, string> = {}): void {
  scene.api.registry.update(pods, 'arena', name, (pod) => ({
    ...pod,
    metadata: {
      ...pod.metadata,
      labels: { ...pod.metadata.labels, 'spotable.dev/allocation': allocation },
      annotations: { ...pod.metadata.annotations, ...annotations },
    },
  }));
}

const statusCalls = (scene: ClusterScene) => scene.calls('PATCH', /\/pods\/[^/]+\/status$/);

describe('game servers and their pods', { concurrency: 2 }, () => {
  test('a pod says what its wrapper says, and the wrapper hears of its session', async () => {
    await using scene = await ClusterScene.start();
    await scene.startReadyAgent();
    const pod = scene.addPod('arena-1');
    label(scene, 'arena-1', 'unallocated');
    const wrapper = scene.addWrapper({ ...pod, token: await scene.token(pod) });
    wrapper.send({ type: 'state', state: 'ready', address: 'a.example.com', session_taken: '' });
    await eventually('the pod is ready by our word', () => readiness(scene, 'arena-1') === 'True');
    const said = annotationsOf(scene, 'arena-1');
    assert.equal(said['spotable.dev/address'], 'a.example.com');
    assert.equal(said['spotable.dev/session-taken'], '');
    await wrapper.hears('session', ({ session_id: id }) => id === null);
    label(scene, 'arena-1', 'allocated', { 'spotable.dev/session-id': 'match-1', map: 'garden22' });
    const heard = await wrapper.hears('session', ({ session_id: id }) => id === 'match-1');
    assert.equal(heard.annotations['map'], 'garden22');
    wrapper.send({ type: 'state', state: 'allocated', session_taken: 'match-1', players: 2 });
    await eventually('the pod says who took it', () => {
      const now = annotationsOf(scene, 'arena-1');
      return now['spotable.dev/session-taken'] === 'match-1' && now['spotable.dev/players'] === '2';
    });
    wrapper.send({ type: 'state', state: 'terminating' });
    await eventually('the pod is ready no more', () => readiness(scene, 'arena-1') === 'False');
  });

  test('calls are bounded, however often a wrapper has news', async () => {
    await using scene = await ClusterScene.start();
    await scene.startReadyAgent();
    const pod = scene.addPod('arena-1');
    const wrapper = scene.addWrapper({ ...pod, token: await scene.token(pod) });
    await wrapper.hears('welcome', ({ publishes }) => publishes);
    const startMs = performance.now();
    for (let players = 0; players <= 300; players++) {
      wrapper.send({ type: 'state', state: 'ready', players });
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
    await eventually('the last is said', () => annotationsOf(scene, 'arena-1')['spotable.dev/players'] === '300');
    const limit = 2 + Math.ceil((performance.now() - startMs) / 2000);
    assert.ok(statusCalls(scene) <= limit, `${statusCalls(scene)} calls, at most ${limit}`);
  });

  test('a wrapper that has not proved which pod it is says nothing on any, and hears of no session', async () => {
    await using scene = await ClusterScene.start();
    await scene.startReadyAgent();
    const pod = scene.addPod('arena-1');
    label(scene, 'arena-1', 'allocated', { 'spotable.dev/session-id': 'match-1' });
    const liar = scene.addWrapper({ ...pod, token: 'not-a-token' });
    await liar.hears('welcome');
    liar.send({ type: 'state', state: 'ready', address: 'evil.example.com' });
    const honest = scene.addPod('arena-2');
    const wrapper = scene.addWrapper({ ...honest, token: await scene.token(honest) });
    wrapper.send({ type: 'state', state: 'ready' });
    await eventually('the honest one is ready', () => readiness(scene, 'arena-2') === 'True');
    assert.equal(readiness(scene, 'arena-1'), undefined);
    assert.equal(annotationsOf(scene, 'arena-1')['spotable.dev/address'], undefined);
    assert.ok(!liar.heard.some(({ message }) => message.type === 'session'));
  });

  test('a wrapper that is gone for good takes its word back', async () => {
    await using scene = await ClusterScene.start();
    await scene.startReadyAgent();
    const pod = scene.addPod('arena-1');
    const wrapper = scene.addWrapper({ ...pod, token: await scene.token(pod) }, false);
    wrapper.send({ type: 'state', state: 'ready' });
    await eventually('the pod is ready', () => readiness(scene, 'arena-1') === 'True');
    wrapper.end();
    await eventually('the pod is not ready', () => readiness(scene, 'arena-1') === 'False', 60_000);
  });
});
