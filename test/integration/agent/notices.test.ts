import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isoSeconds, maintenanceTime } from '../../../sandbox/metadata/notices.ts';
import { AgentProcess } from './scene/agent-process.ts';
import { ClusterScene } from './scene/cluster-scene.ts';
import { eventually } from './scene/eventually.ts';

const entry = new URL('../../../agent/main.ts', import.meta.url).pathname;
const skewedClock = ['--require', new URL('../../fixtures/skewed-clock.cjs', import.meta.url).pathname, entry];

/** From now on the metadata service answers this path with that body, and status 200. */
function answer(scene: ClusterScene, path: string, body: string): void {
  scene.metadata.faults.add({ id: path, path: `${path}$`, fault: { kind: 'garbage', body } });
}

function leftMs(line: Readonly<Record<string, unknown>>): number {
  return Number(line['leftMs']);
}

async function garbage(agent: AgentProcess): Promise<number> {
  const { text } = await agent.get('/metrics');
  return Number(/^spotable_garbage_total\{source="metadata"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

describe('a spot notice that is not quite as documented', { concurrency: 2 }, () => {
  const notices = [
    ['without a time', () => '{"action":"terminate"}', 120_000, /time is no instant/],
    [
      'with a new action',
      () => `{"action":"relocate","time":"${isoSeconds(Date.now() + 60_000)}"}`,
      60_000,
      /relocate/,
    ],
    ['without a zone', () => `{"action":"stop","time":"${isoSeconds(Date.now() + 60_000).slice(0, -1)}"}`, 60_000],
    ['ten minutes past', () => `{"action":"stop","time":"${isoSeconds(Date.now() - 600_000)}"}`, 120_000],
    ['five minutes ahead', () => `{"action":"stop","time":"${isoSeconds(Date.now() + 300_000)}"}`, 120_000],
  ] as const;
  for (const [name, body, expectedMs, remark] of notices)
    test(`${name} is answered, with the time that there really is`, async () => {
      await using scene = await ClusterScene.start();
      scene.addPod('a', { isGameServer: false, graceSeconds: 30 });
      const agent = await scene.startReadyAgent();
      answer(scene, 'instance-action', body());
      const noticed = await agent.says('Interruption noticed');
      assert.ok(leftMs(noticed) <= expectedMs && leftMs(noticed) > expectedMs - 20_000, `${leftMs(noticed)} ms`);
      const asked = await agent.says('Pod termination requested');
      assert.equal(asked['gracePeriodSeconds'], 30);
      await agent.says('Node drained');
      if (remark !== undefined) {
        const said = await agent.says('Interruption notice partly unreadable');
        assert.match(String(said['remark']), remark);
        assert.equal(agent.said('Interruption notice partly unreadable').length, 1);
        assert.equal(await garbage(agent), 1);
      }
    });

  test('is none where a proxy answers 200 in place of the metadata service', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    const agent = await scene.startReadyAgent();
    for (const body of ['<html>Welcome</html>', '{"error":"no route"}', '[]', 'none', '""', '']) {
      const before = await garbage(agent);
      answer(scene, 'instance-action', body);
      await eventually('it is counted as garbage', async () => (await garbage(agent)) > before + 1);
    }
    assert.deepEqual(agent.said('Interruption noticed'), []);
    scene.metadata.faults.clear();
    scene.announceSpot(60_000);
    await agent.says('Node drained');
  });
});

describe('a list of scheduled maintenance', () => {
  test('with an event that is new does not hide the retirement beside it', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    const agent = await scene.startReadyAgent();
    const event = { NotBefore: maintenanceTime(Date.now() + 120_000), Description: '', State: 'active' };
    answer(
      scene,
      'scheduled',
      JSON.stringify([
        { ...event, EventId: 'e-1', Code: 'instance-relocation' },
        { ...event, EventId: 'e-2', Code: 'instance-retirement' },
      ]),
    );
    const noticed = await agent.says('Interruption noticed');
    assert.deepEqual([noticed['id'], noticed['action']], ['e-2', 'terminate']);
    const { remark } = await agent.says('Interruption notice partly unreadable');
    assert.match(String(remark), /^event "e-1" left out: unknown Code "instance-relocation"$/);
    await agent.says('Node drained');
    assert.match(
      (await agent.get('/metrics')).text,
      /notice_readings_total\{[^}]*scheduled",outcome="partial"\} [1-9]/,
    );
  });

  test('of which an event has begun already leaves the pods their grace', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a', { isGameServer: false, graceSeconds: 30 });
    const agent = await scene.startReadyAgent();
    const event = { EventId: 'e-1', Code: 'instance-stop', Description: '', State: 'active' };
    scene.metadata.announce('maintenance', [{ ...event, NotBefore: maintenanceTime(Date.now() - 3_600_000) }] as never);
    assert.ok(leftMs(await agent.says('Interruption noticed')) > 100_000);
    assert.equal((await agent.says('Pod termination requested'))['gracePeriodSeconds'], 30);
  });
});

describe('a metadata service', { concurrency: 2 }, () => {
  test('that answers a path with a directory, as a mock does, hides no other fact', async () => {
    await using scene = await ClusterScene.start();
    answer(scene, 'ipv6', 'network/');
    const agent = await scene.startReadyAgent();
    const { instance } = (await agent.says('Instance facts updated')) as unknown as {
      instance: Record<string, unknown>;
    };
    assert.deepEqual([instance['instanceId'], instance['region']], ['i-0123456789abcdef0', 'eu-west-1']);
    scene.announceSpot(60_000);
    await agent.says('Node drained');
    await eventually('its events are there', async () => (await scene.events()).length >= 2);
    for (const { source } of await scene.events()) assert.equal(source, '/eu-west-1/i-0123456789abcdef0');
  });

  test('that takes 1.5 s to answer is heard, and so are its facts', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a');
    scene.metadata.faults.add({ fault: { kind: 'delay', delayMs: 1500 } });
    const agent = await scene.startAgent();
    const isComplete = (line: Readonly<Record<string, unknown>>) => (line['missing'] as unknown[]).length === 0;
    await agent.says('Instance facts updated', isComplete, 60_000);
    scene.announceSpot(100_000);
    await agent.says('Node drained', undefined, 60_000);
    const { text } = await agent.get('/metrics');
    assert.match(text, /spotable_metadata_request_seconds_bucket\{le="1"\} 0$/m);
  });

  test('that is away leaves the node to say which instance it is', async () => {
    await using scene = await ClusterScene.start();
    const providerID = 'aws:///eu-central-1b/i-0abcdef';
    scene.changeNode((node) => ({ ...node, spec: { ...node.spec, providerID } }));
    scene.metadata.faults.add({ fault: { kind: 'status', status: 503 } });
    // It is not ready as long as it sees no notices.
    const agent = await scene.startAgent();
    scene.annotate({ 'spotable.dev/rehearse': '20s' });
    await agent.says('Node drained');
    await eventually('its events are there', async () => (await scene.events()).length >= 2);
    for (const { source } of await scene.events()) assert.equal(source, '/eu-central-1/i-0abcdef');
  });

  test('with an https address is refused at the start, in one clear line', async () => {
    const agent = new AgentProcess({ NODE_NAME: 'n-1', METADATA_ENDPOINT: 'https://169.254.169.254' });
    assert.equal(await agent.exit(), 78);
    assert.deepEqual(agent.problems, [
      'spotable-agent: Invalid METADATA_ENDPOINT "https://169.254.169.254": expected an http:// address, without TLS',
    ]);
  });
});

test('an agent without any cluster configuration ends with 78, and guesses no address', async () => {
  const agent = new AgentProcess({ NODE_NAME: 'n-1', METRICS_PORT: 'none', SERVICE_ACCOUNT_DIR: '/nonexistent' });
  assert.equal(await agent.exit(), 78);
  assert.equal(agent.problems.length, 1);
  assert.match(
    agent.problems[0] ?? '',
    /^spotable-agent: Cannot load the Kubernetes configuration: no service account in this pod, no KUBECONFIG and no ~\/.kube\/config$/,
  );
});

describe('a node whose clock is wrong', { concurrency: 2 }, () => {
  for (const skewMs of [180_000, -180_000])
    test(`by ${skewMs} ms gives a pod its grace, a game the time that there is, and says so`, async () => {
      await using scene = await ClusterScene.start();
      scene.addPod('a', { isGameServer: false, graceSeconds: 30 });
      const game = scene.addPod('game', { stopMs: 1000 });
      const agent = await scene.startReadyAgent({ CLOCK_SKEW_MS: String(skewMs) }, skewedClock);
      const wrapper = scene.addWrapper(game);
      await wrapper.hears('welcome');
      const deadlineMs = scene.announceSpot(100_000);
      const noticed = await agent.says('Interruption noticed');
      assert.equal(Date.parse(String(noticed['deadline'])), deadlineMs);
      assert.ok(leftMs(noticed) <= 102_000 && leftMs(noticed) > 80_000, `${leftMs(noticed)} ms`);
      // A game compares it with the clock that it sees, which is as wrong as the agent's.
      const { deadline, end_by } = await wrapper.hears('interruption');
      for (const told of [deadline, end_by])
        assert.ok(Math.abs(Date.parse(String(told)) - skewMs - deadlineMs) < 9000, String(told));
      await agent.says('Node drained');
      const grace = (name: string) =>
        Number(
          agent.said('Pod termination requested').find(({ pod }) => String(pod).endsWith(name))?.['gracePeriodSeconds'],
        );
      assert.equal(grace('/a'), 30);
      assert.ok(grace('/game') > 70 && grace('/game') <= 98, `${grace('/game')} s`);
      const said = await agent.says('Clock skew: deadlines are corrected');
      assert.ok(Math.abs(Number(said['skewMs']) - skewMs) < 2500);
      const { text } = await agent.get('/metrics');
      const metric = Number(/^spotable_clock_skew_seconds (\S+)$/m.exec(text)?.[1]);
      assert.ok(Math.abs(metric * 1000 - skewMs) < 2500, String(metric));
    });

  test('is told by the API server where the metadata service does not say the time', async () => {
    await using scene = await ClusterScene.start();
    scene.addPod('a', { isGameServer: false, graceSeconds: 30 });
    scene.metadata.faults.add({ fault: { kind: 'status', status: 503, headers: { date: 'today' } } });
    const agent = await scene.startAgent({ CLOCK_SKEW_MS: '-180000' }, skewedClock);
    const said = await agent.says('Clock skew: deadlines are corrected');
    assert.deepEqual(said['references'], ['kubernetes']);
    scene.annotate({ 'spotable.dev/rehearse': '60s' });
    const noticed = await agent.says('Interruption noticed');
    assert.ok(Math.abs(Date.parse(String(noticed['deadline'])) - Date.now() - 60_000) < 20_000);
  });
});
