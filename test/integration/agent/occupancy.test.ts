import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { InterruptionReport } from '../../../agent/reporting/interruption-report.ts';
import type { Occupancy } from '../../../shared/link/link-message.ts';
import { ClusterScene } from './scene/cluster-scene.ts';
import { eventually } from './scene/eventually.ts';
import type { PaperWrapper } from './scene/paper-wrapper.ts';

/** A pod whose game server has proved who it is, and says whether anybody plays. */
async function linked(scene: ClusterScene, name: string, occupancy: Occupancy): Promise<PaperWrapper> {
  const pod = scene.addPod(name, { graceSeconds: 2 });
  const wrapper = scene.addWrapper({ ...pod, token: await scene.token(pod) });
  say(wrapper, occupancy);
  await wrapper.hears('welcome', ({ publishes }) => publishes);
  return wrapper;
}

function say(wrapper: PaperWrapper, occupancy: Occupancy): void {
  wrapper.send({ type: 'state', state: occupancy === 'idle' ? 'ready' : 'allocated', occupancy });
}

const podNames = (scene: ClusterScene) => scene.pods.map(({ metadata }) => metadata.name).join();

describe('game servers that say whether anybody plays', { concurrency: 2 }, () => {
  test('are taken in this order: those nobody plays on at once, a match when its own grace is left', async () => {
    await using scene = await ClusterScene.start();
    const agent = await scene.startReadyAgent({ SAFETY_MARGIN: '2s' });
    await linked(scene, 'free', 'idle');
    const match = await linked(scene, 'match', 'occupied');
    await eventually('the agent sees both', () => agent.said('Wrapper linked').length === 2);
    const deadlineMs = scene.announceSpot(14_000);
    await match.hears('interruption');
    const free = await agent.says('Pod termination requested', ({ pod }) => pod === 'arena/free');
    const last = await agent.says('Pod termination requested', ({ pod }) => pod === 'arena/match');
    assert.ok(deadlineMs - free.time > 10_000, `free was asked ${deadlineMs - free.time} ms before the end`);
    // Five seconds before the end by the margin, and the time for one call.
    const leftMs = deadlineMs - 2000 - last.time;
    assert.ok(leftMs > 4000 && leftMs < 5500, `the match was asked ${leftMs} ms before its end`);
    assert.deepEqual((await agent.says('Node drained'))['pods'], { 'arena/free': 'evicted', 'arena/match': 'evicted' });
  });

  test('begin anew elsewhere at a mere risk, unless somebody plays; any other game server stays', async () => {
    await using scene = await ClusterScene.start();
    const agent = await scene.startReadyAgent();
    await linked(scene, 'free', 'idle');
    const match = await linked(scene, 'match', 'occupied');
    const silent = scene.addPod('silent');
    scene.addWrapper({ ...silent, token: await scene.token(silent) });
    // It claims to be idle, and has not proved to be the pod: nobody may have another one's game ended.
    const claimed = scene.addWrapper(scene.addPod('claimed'));
    await claimed.hears('welcome');
    say(claimed, 'idle');
    scene.metadata.announce('rebalance', { noticeTime: new Date().toISOString().replace(/\.\d+Z/, 'Z') });
    await agent.says('Pod termination requested', ({ pod }) => pod === 'arena/free');
    await eventually('only free has gone', () => podNames(scene) === 'claimed,match,silent');
    await sleep(1500);
    assert.equal(podNames(scene), 'claimed,match,silent');
    assert.equal(agent.said('Node drained').length, 0);
    say(match, 'idle');
    await eventually('the match goes when it is over', () => podNames(scene) === 'claimed,silent');
    scene.announceSpot(30_000);
    await agent.says('Node drained');
    assert.equal(podNames(scene), '');
  });

  test('are no part of the report where a budget kept them until somebody played', async () => {
    await using scene = await ClusterScene.start();
    const agent = await scene.startReadyAgent({ REBALANCE_TTL: '3s' });
    const free = await linked(scene, 'free', 'idle');
    scene.guard('free');
    await linked(scene, 'gone', 'idle');
    scene.metadata.announce('rebalance', { noticeTime: new Date().toISOString().replace(/\.\d+Z/, 'Z') });
    await agent.says('Eviction refused by budget', ({ pod }) => pod === 'arena/free');
    say(free, 'occupied');
    const { report } = await agent.says('Interruption report');
    assert.ok(isReport(report));
    assert.deepEqual([report.outcome, report.pods.map(({ pod }) => pod)], ['cancelled', ['arena/gone']]);
    assert.equal(podNames(scene), 'free');
  });
});

function isReport(value: unknown): value is InterruptionReport {
  return typeof value === 'object' && value !== null && 'outcome' in value && 'pods' in value;
}
