import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isoSeconds } from '../../../sandbox/metadata/notices.ts';
import { eventually } from './scene/eventually.ts';
import { callsSince, startNetworkScene, surviveOutage } from './scene/network-scene.ts';

describe('an agent whose network fails, before an API server that offers HTTP/2', { concurrency: 2 }, () => {
  test('cordons and evicts at once although every connection it has is dead', async () => {
    await using network = await startNetworkScene();
    const { scene, proxy, podNames } = network;
    proxy.network.killExisting();
    const noticedMs = Date.now();
    const deadlineMs = scene.announceSpot(120_000);
    await eventually('every pod has gone', () => scene.pods.length === 0);
    await eventually('the node is cordoned', () => scene.isCordoned);
    assert.ok(Date.now() < deadlineMs - 60_000, 'with more than half of the notice left');
    assert.equal(callsSince(network, noticedMs, 'POST', /\/eviction$/).length, podNames.length);
    assert.deepEqual([...new Set(proxy.requests.map(({ httpVersion }) => httpVersion))], ['1.1']);
  });

  test('is back within a second of its network, with nothing of the time in between', async () => {
    await using network = await startNetworkScene();
    await surviveOutage(network, 12_000);
  });

  test('sends nothing of a drain that was called off while the network was away', async () => {
    await using network = await startNetworkScene();
    const { scene, proxy, agent } = network;
    proxy.network.silence();
    scene.announceSpot(120_000);
    // The cordon has its head start, then every pod is asked for.
    await agent.says('Cannot evict pod');
    scene.metadata.withdraw('spot');
    await agent.says('Interruption cancelled');
    await eventually('no connection of the outage is left but those of the undoing and the watches', async () => {
      return proxy.network.connections.length <= 4;
    });
    const backMs = Date.now();
    proxy.network.restore();
    scene.metadata.announce('rebalance', { noticeTime: isoSeconds(Date.now()) });
    await eventually('the node is held', () => scene.isCordoned);
    assert.deepEqual(callsSince(network, backMs, 'POST', /\/eviction$/), []);
    assert.deepEqual(callsSince(network, backMs, 'DELETE', /./), []);
    assert.equal(scene.pods.length, network.podNames.length);
  });
});
