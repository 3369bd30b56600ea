import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mightFire, parseScrape, type Scrape } from '../../unit/manifests/evaluate-rule.ts';
import { parseManifests, readProjectFile } from '../../unit/manifests/manifest-files.ts';
import { ClusterScene } from './scene/cluster-scene.ts';
import { eventually } from './scene/eventually.ts';

const rules = parseManifests(readProjectFile('manifests/components/monitoring/alerts.yaml')).flatMap(({ spec }) =>
  (spec as { groups: { rules: { alert: string; expr: string }[] }[] }).groups.flatMap((group) => group.rules),
);

/** A machine that is busy with other tests is slow, and that is what these two are about. */
const ofSpeed = ['SpotableSlowWarning', 'SpotableMetadataSlow'];

function firing(scrapes: readonly Scrape[]): readonly string[] {
  return rules
    .filter(({ alert }) => !ofSpeed.includes(alert))
    .filter(({ expr }) => mightFire(expr, scrapes))
    .map(({ alert }) => alert);
}

test('no alert fires in a drain that goes as it should, with games that use their whole time', async () => {
  await using scene = await ClusterScene.start();
  const games = ['a', 'b', 'c'].map((name) => scene.addPod(name, { stopMs: 4000, graceSeconds: 60 }));
  scene.addPod('web', { isGameServer: false });
  const agent = await scene.startReadyAgent();
  const scrapes: Scrape[] = [];
  const scrape = async () => scrapes.push(parseScrape((await agent.get('/metrics')).text));
  for (const game of games) {
    const wrapper = scene.addWrapper({ ...game, token: await scene.token(game) });
    await wrapper.hears('welcome', ({ publishes }) => publishes);
    wrapper.send({ type: 'event', event: wrapper.event('ready') });
  }
  await scrape();
  scene.announceSpot(60_000);
  await eventually('it is drained', async () => (await scrape()) > 0 && agent.said('Interruption report').length > 0);
  await eventually(
    'the queue has all',
    async () => (await scrape()) > 0 && scrapes.at(-1)?.get('spotable_inventory_events_waiting') === 0,
  );
  const report = JSON.stringify(agent.said('Interruption report'));
  assert.deepEqual(firing(scrapes), [], report);
  assert.ok(scrapes.at(-1)?.get('spotable_interruptions_ended_total{kind="spot-termination",outcome="drained"}') === 1);
});

test('alerts fire where the API server is away and the cordon is missing', async () => {
  await using scene = await ClusterScene.start();
  scene.addPod('a');
  const agent = await scene.startReadyAgent();
  const first = parseScrape((await agent.get('/metrics')).text);
  await scene.api.close();
  scene.announceSpot(60_000);
  await eventually(
    'the cordon is missed',
    async () => {
      const last = parseScrape((await agent.get('/metrics')).text);
      return firing([first, last]).includes('SpotableCordonMissing');
    },
    60_000,
  );
});
