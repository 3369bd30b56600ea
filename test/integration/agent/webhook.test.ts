import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ClusterScene } from './scene/cluster-scene.ts';
import { eventually } from './scene/eventually.ts';
import { startHook } from './scene/hook.ts';

describe('the webhook', { concurrency: 2 }, () => {
  test('of each receiver gets where the node is, with the headers that were set, and one that fails harms no other', async () => {
    await using scene = await ClusterScene.start();
    await using good = await startHook(0);
    await using bad = await startHook(1000);
    scene.changeNode((node) => ({ ...node, metadata: { ...node.metadata, labels: { pool: 'spot-a' } } }));
    scene.addPod('a');
    const agent = await scene.startReadyAgent({
      WEBHOOK_URL: `${bad.url} ${good.url}`,
      WEBHOOK_HEADERS: '{"authorization":"Bearer top-secret"}',
    });
    await agent.says('Instance facts updated');
    await eventually('the account was asked for', () =>
      scene.metadata.requests.some(({ path }) => path.includes('instance-identity')),
    );
    scene.announceSpot(6000);
    await eventually('notice and end were taken', () => good.taken.length === 2);
    for (const report of good.taken) {
      const { instance_id: id, instance_type: type, zone, account_id: account, node_labels: labels } = report;
      assert.deepEqual([typeof id, typeof type, typeof zone], ['string', 'string', 'string']);
      assert.match(String(account), /^\d{12}$/);
      assert.deepEqual(labels, { pool: 'spot-a' });
    }
    assert.ok(good.headers.every(({ authorization }) => authorization === 'Bearer top-secret'));
    await agent.says('Webhook given up');
    assert.match((await agent.get('/metrics')).text, /^spotable_webhooks_given_up_total [12]$/m);
    assert.ok(!agent.lines.some((line) => JSON.stringify(line).includes('top-secret')), 'headers are secrets');
  });

  test('goes through a proxy', async () => {
    await using scene = await ClusterScene.start();
    await using proxy = await startHook(0);
    const agent = await scene.startReadyAgent({
      WEBHOOK_URL: 'http://receiver.invalid/hook',
      WEBHOOK_PROXY: proxy.url,
    });
    scene.announceSpot(60_000);
    await agent.says('Interruption report');
    await eventually('both were taken', () => proxy.taken.length === 2);
    assert.deepEqual([...new Set(proxy.targets)], ['http://receiver.invalid/hook']);
  });
});
