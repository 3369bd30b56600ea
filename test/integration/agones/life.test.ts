import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FakeAgent } from '../wrapper/fake-agent.ts';
import { eventually, WrapperProcess } from '../wrapper/wrapper-process.ts';

const game = (...args: string[]): string[] => [
  process.execPath,
  fileURLToPath(new URL('fixtures/scripted-game.ts', import.meta.url)),
  ...args,
];
const seed = ['--sdk-counter', 'rooms=1/10', '--sdk-list', 'players=10'];

/** What every client hears in a whole life, up to the message that only gRPC and REST have in common. */
const transcript = [
  'watched "first"',
  'watched "Ready"',
  'watched "Reserved"',
  'watched "Ready"',
  'watched "Allocated"',
  'watched "label"',
  'watched "annotation"',
  /^failed "3 invalid label value/,
  'gameserver {"state":"Allocated","labels":{"agones.dev/sdk-map":"dm6"}}',
  'rooms 3',
  'rooms 42',
  'failed "2 out of range. Count must be within range [0,Capacity]. Found Count: 51, Capacity: 50"',
  'failed "2 counter not found: none"',
  'failed "2 already exists. Value: bob already in List: players"',
  'players ["bob"]',
  'failed "2 out of range. No available capacity. Current Capacity: 1, List Size: 1"',
  'failed "2 list not found: none"',
];

suite('A game that speaks the SDK', { concurrency: 3 }, () => {
  for (const form of ['grpc', 'rest', 'websocket'])
    test(`lives its whole life by ${form}, and the inventory follows`, async (t) => {
      const agent = await FakeAgent.listen(t);
      const flags = ['--ready', 'sdk', ...seed];
      const wrapper = new WrapperProcess(t, flags, game(form, 'whole'), { env: { LINK: agent.path } });
      assert.equal(await wrapper.status(), 0);
      for (const [index, expected] of transcript.entries()) {
        const line = wrapper.output[index] ?? '';
        if (typeof expected === 'string') assert.equal(line, expected);
        else assert.match(line, expected);
      }
      // SIGTERM and the news of its own Shutdown() come at the same time.
      assert.match(wrapper.output.find((line) => line.startsWith('told')) ?? '', /^told "(Shutdown|Allocated)"$/);
      const names = agent.names().filter((name) => name !== 'heartbeat');
      // Reserved is protected like allocated, until the reservation is over.
      assert.deepEqual(names, ['starting', 'ready', 'allocated', 'ready', 'allocated', 'terminating', 'terminated']);
      assert.deepEqual(agent.occupancies, ['idle', 'occupied', 'idle', 'occupied', undefined]);
      const terminated = (await agent.event('terminated')).data as object as Record<string, unknown>;
      assert.equal(terminated['reason'], 'shutdown');
      assert.equal(terminated['players'], 1);
      const labels = terminated['labels'] as Record<string, string>;
      assert.equal(labels['agones.dev/sdk-map'], 'dm6');
      assert.equal(labels['counters.agones.dev/rooms'], '42_50');
    });

  test('hears of the interruption while it plays, with its deadline, and stays allocated', async (t) => {
    const agent = await FakeAgent.listen(t);
    const flags = ['--ready', 'sdk', '--stop-at', '1s', '--safety-margin', '0s'];
    const wrapper = new WrapperProcess(t, flags, game('rest', 'allocate'), { env: { LINK: agent.path } });
    await agent.event('allocated');
    const deadline = new Date(Date.now() + 120_000).toISOString();
    const interruption = {
      type: 'interruption',
      id: 'spot',
      kind: 'spot-termination',
      action: 'terminate',
      deadline,
    } as const;
    agent.tell({ ...interruption, end_by: deadline });
    const line = await wrapper.printed(/^end /);
    const seen = JSON.parse(line.slice(4)) as Record<string, unknown>;
    assert.equal(seen['state'], 'Allocated');
    assert.equal(seen['deletionTimestamp'], Math.floor(Date.parse(deadline) / 1000));
    const annotations = seen['annotations'] as Record<string, string>;
    assert.equal(annotations['spotable.dev/deadline'], deadline);
    assert.equal(annotations['spotable.dev/interruption-kind'], 'spot-termination');
    assert.deepEqual(
      wrapper.log.filter(({ msg }) => msg === 'Game told').map(({ how }) => how),
      ['sdk:watch'],
      'told to stop although it may play on',
    );
    agent.tell({ ...interruption, end_by: new Date().toISOString() });
    await wrapper.printed(/^told "Allocated"/);
    assert.equal(await wrapper.status(), 0);
  });

  test('is unhealthy when it misses Health(), and well when it speaks again', async (t) => {
    const agent = await FakeAgent.listen(t);
    const health = ['--sdk-health-period', '200ms', '--sdk-health-threshold', '2', '--sdk-health-delay', '3s'];
    const flags = ['--ready', 'sdk', ...health];
    const wrapper = new WrapperProcess(t, flags, game('rest', 'unwell'), { env: { LINK: agent.path } });
    await wrapper.printed(/^watched "Unhealthy"/);
    const unhealthy = await eventually('the inventory hears of it', () =>
      agent.events.find(({ data }) => 'labels' in data && data.labels['spotable.dev/unhealthy'] !== undefined),
    );
    assert.ok('labels' in unhealthy.data);
    assert.equal(unhealthy.data.labels['spotable.dev/unhealthy'], 'no Health() for 0.4 s');
    assert.equal(unhealthy.data.status, 'starting');
    await eventually('it is ready again', () => agent.names().filter((name) => name === 'ready').length >= 2);
  });

  test('is replaced when it misses Health(), where the settings say so', async (t) => {
    const health = ['--sdk-health-period', '200ms', '--sdk-health-threshold', '2', '--sdk-health-delay', '1s'];
    const silent = ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.1; done'];
    const wrapper = new WrapperProcess(t, ['--ready', 'sdk', '--unhealthy', 'end', ...health], silent);
    assert.equal(await wrapper.status(), 0);
    assert.equal((await wrapper.said('Interruption learned'))['kind'], 'unhealthy');
  });

  for (const form of ['grpc', 'rest'])
    test(`that exits right after its Shutdown() by ${form} has its own exit status`, async (t) => {
      const wrapper = new WrapperProcess(t, ['--ready', 'sdk'], game(form, 'goodbye'));
      assert.equal(await wrapper.status(), 0);
      assert.equal((await wrapper.said('Interruption learned'))['kind'], 'shutdown');
      assert.deepEqual(wrapper.output, ['watched "first"']);
    });

  test('finds no SDK server, no port and no module of it where nobody asks for one', async (t) => {
    const wrapper = new WrapperProcess(t, ['--ready', 'delay:0s'], ['sh', '-c', 'env | grep AGONES; exit 0']);
    assert.equal(await wrapper.status(), 0);
    assert.deepEqual(wrapper.output, []);
    assert.ok(!wrapper.hasSaid('SDK server started'));
  });

  test('is given the ports of REST alone where it asks for REST alone', async (t) => {
    const flags = ['--sdk', 'rest', '--ready', 'delay:0s'];
    const wrapper = new WrapperProcess(t, flags, ['sh', '-c', 'env | grep AGONES | cut -d= -f1 | sort']);
    assert.equal(await wrapper.status(), 0);
    assert.deepEqual(wrapper.output, ['AGONES_SDK_HTTP_HOST', 'AGONES_SDK_HTTP_PORT']);
  });
});
