import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventually } from '../agent/scene/eventually.ts';
import { allocate, FleetScene, namespace, withSession } from './fleet-scene.ts';

async function oneFleet(warm: number, annotations: Readonly<Record<string, string>> = {}): Promise<FleetScene> {
  const scene = await FleetScene.start();
  for (const name of ['n-1', 'n-2']) scene.addNode(name);
  scene.addFleet('arena', warm, annotations);
  await scene.warm(warm);
  return scene;
}

const labelOf = (scene: FleetScene, pod = '') => scene.pod(pod).metadata.labels?.['spotable.dev/allocation'];

describe('POST /gameserverallocation', () => {
  test("answers as Agones' allocator does, and its game server leaves the ReplicaSet, which makes another one", async () => {
    await using scene = await oneFleet(2);
    const first = scene.pods()[0]?.metadata.name ?? '';
    for (const { metadata } of scene.pods())
      scene.annotate(metadata.name, {
        'spotable.dev/address': 'ec2-198-51-100-9.example.com',
        'spotable.dev/port.default': '20001/udp',
        'spotable.dev/counter.rooms': '1/10',
      });
    const { url, process } = await scene.serve('fleet-a');
    await process.says('Lease of the loop', ({ isHeld }) => isHeld === true);
    const { status, body } = await allocate(url, {
      namespace,
      gameServerSelectors: [{ matchLabels: { 'agones.dev/fleet': 'arena' } }],
      metadata: { labels: { mode: 'deathmatch' }, annotations: { map: 'garden22' } },
    });
    assert.equal(status, 200, JSON.stringify(body));
    const { metadata: given, ...rest } = body as typeof body & {
      metadata: { labels: Record<string, string>; annotations: Record<string, string> };
    };
    const name = body.gameServerName ?? '';
    const { nodeName } = scene.pod(name).spec;
    assert.deepEqual(rest, {
      gameServerName: name,
      ports: [{ name: 'default', port: 20_001 }],
      address: 'ec2-198-51-100-9.example.com',
      addresses: [{ type: 'ExternalIP', address: '198.51.100.7' }],
      nodeName,
      source: 'local',
      counters: { rooms: { count: '1', capacity: '10' } },
      lists: {},
    });
    assert.equal(given.labels['mode'], 'deathmatch');
    assert.equal(given.labels['spotable.dev/allocation'], 'allocated');
    assert.equal(given.annotations['map'], 'garden22');
    assert.equal(given.annotations['karpenter.sh/do-not-disrupt'], 'true');
    assert.ok(first !== '');
    await eventually('a third pod', () => scene.pods().length === 3);
    assert.equal(scene.pod(name).metadata.ownerReferences, undefined);
    const audit = await process.says('Game server allocated');
    assert.equal(audit['pod'], name);
    assert.equal(audit['client'], '127.0.0.1');
  });

  test('gives the codes and words of the reference where there is no game server', async () => {
    await using scene = await oneFleet(1);
    const { url } = await scene.serve('fleet-a');
    const body = { namespace, gameServerSelectors: [{ matchLabels: { game: 'other' } }] };
    const none = { code: 8, message: 'there is no available GameServer to allocate', details: [] };
    assert.deepEqual(await allocate(url, body), { status: 429, body: none });
    const elsewhere = await allocate(url, { namespace: 'elsewhere' });
    assert.equal(elsewhere.status, 429);
    assert.match(String(elsewhere.body['message']), /^there is no available .* only namespace arena is served/);
    for (const [path, method, status] of [
      ['/gameserverallocation', 'GET', 501],
      ['/other', 'POST', 404],
    ] as const)
      assert.equal((await fetch(`${url}${path}`, { method })).status, status);
    assert.equal((await allocate(url, '{"namespace":')).status, 400);
    assert.equal((await allocate(url, '[]')).status, 400);
    assert.equal((await allocate(url, `{"namespace":"${'x'.repeat(600_000)}"}`)).status, 400);
    assert.equal((await allocate(url, { namespace, metadata: { labels: { 'spotable.dev/fleet': 'x' } } })).status, 500);
    assert.equal((await allocate(url, { multiClusterSetting: { enabled: true } })).status, 501);
    assert.equal(labelOf(scene, scene.pods()[0]?.metadata.name), 'unallocated');
    assert.equal((await allocate(url, { namespace })).status, 200);
  });

  test('never gives a game server on a node that is going', async () => {
    await using scene = await oneFleet(6);
    scene.cordon('n-1');
    const { url } = await scene.serve('fleet-a');
    const first = await allocate(url, { namespace });
    assert.equal(first.body['nodeName'], 'n-2');
    scene.cordon('n-2');
    // Those that are asked for before the watch shows the cordon may still be given.
    await eventually('none is left', async () => (await allocate(url, { namespace })).status === 429);
    assert.ok(
      scene
        .pods()
        .some(({ metadata, spec }) => spec.nodeName === 'n-1' && labelOf(scene, metadata.name) === 'unallocated'),
    );
  });
});

describe('a session id of the caller', () => {
  test('gets the same game server at every replica, at the same time and later', async () => {
    await using scene = await oneFleet(6);
    const [a, b] = await Promise.all([scene.serve('fleet-a'), scene.serve('fleet-b')]);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => allocate(index % 2 === 0 ? a.url : b.url, withSession('match-1'))),
    );
    const later = await allocate(b.url, withSession('match-1'));
    const names = new Set([...answers, later].map(({ body }) => body.gameServerName));
    assert.equal(names.size, 1, JSON.stringify(answers.map(({ status, body }) => [status, body])));
    const allocated = scene
      .pods()
      .filter(({ metadata }) => metadata.labels?.['spotable.dev/allocation'] === 'allocated');
    assert.equal(allocated.length, 1);
  });

  test('that is over does not begin again', async () => {
    await using scene = await oneFleet(2);
    const { url } = await scene.serve('fleet-a');
    const { body } = await allocate(url, withSession('match-1'));
    const name = body.gameServerName ?? '';
    scene.setStatus(name, { phase: 'Failed' });
    await eventually(
      'it is over',
      async () => (await allocate(url, withSession('match-1'))).status === 409,
      10_000,
    ).catch(() => assert.fail('it began again'));
  });
});

test('an answer that is lost on its way from the API server costs no game server', async () => {
  await using scene = await oneFleet(3);
  const { url } = await scene.serve('fleet-a');
  scene.api.faults.add({ method: 'PATCH', path: '/pods/', times: 1, fault: { kind: 'reset' } });
  const { status, body } = await allocate(url, { namespace });
  assert.equal(status, 200, JSON.stringify(body));
  const allocated = scene.pods().filter(({ metadata }) => metadata.labels?.['spotable.dev/allocation'] === 'allocated');
  assert.deepEqual(
    allocated.map(({ metadata }) => metadata.name),
    [body.gameServerName],
  );
});

test('two replicas give each game server once, however many ask at the same time', async () => {
  await using scene = await oneFleet(40);
  const [a, b] = await Promise.all([scene.serve('fleet-a'), scene.serve('fleet-b')]);
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, index) => allocate(index % 2 === 0 ? a.url : b.url, { namespace })),
  );
  const names = answers.flatMap(({ status, body }) => (status === 200 ? [body.gameServerName] : []));
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.length >= 40, `${names.length} of 40`);
  for (const { status } of answers) assert.ok([200, 409, 429].includes(status), String(status));
});

describe('the loop', () => {
  test('deletes spent game servers, gives back those that are ready again or never took their session', async () => {
    await using scene = await oneFleet(3);
    const { url } = await scene.serve('fleet-a', { ACTIVATION_TIMEOUT: '1s' });
    const names: string[] = [];
    for (let count = 0; count < 3; count++)
      names.push((await allocate(url, withSession(`match-${count}`))).body.gameServerName ?? '');
    const [spent = '', again = '', silent = ''] = names;
    scene.setStatus(spent, {
      containerStatuses: [{ name: 'game', restartCount: 1, ready: true, image: '', imageID: '' }],
    });
    scene.annotate(again, { 'spotable.dev/session-taken': 'match-1', 'spotable.dev/session-over': 'match-1' });
    scene.annotate(silent, { 'spotable.dev/session-taken': '' });
    await eventually('the spent one is deleted', () => {
      const pod = scene.pods().find(({ metadata }) => metadata.name === spent);
      return pod === undefined || pod.metadata.deletionTimestamp !== undefined;
    });
    for (const name of [again, silent])
      await eventually(`${name} is given back`, () => {
        const pod = scene.pods().find(({ metadata }) => metadata.name === name);
        return pod === undefined || pod.metadata.labels?.['spotable.dev/allocation'] === 'unallocated';
      });
  });

  test('lowers the warm game servers of a fleet with a maximum, and raises them when sessions end', async () => {
    await using scene = await oneFleet(3, { 'spotable.dev/max': '3' });
    const { url } = await scene.serve('fleet-a');
    const { body } = await allocate(url, { namespace });
    await eventually('two are wanted', async () => /^arena +\d\/2 +1 +3/m.test((await scene.run('list')).out));
    scene.setStatus(body.gameServerName ?? '', { phase: 'Succeeded' });
    await eventually('three are wanted', async () => /^arena +\d\/3 +0 +3/m.test((await scene.run('list')).out));
  });

  test('marks sessions of a fleet that is scaled to nothing, and blanks a label', async () => {
    const overflow = JSON.stringify({ labels: { game: '' }, annotations: { event: 'overflow' } });
    await using scene = await oneFleet(2, { 'spotable.dev/allocation-overflow': overflow });
    const { url, process } = await scene.serve('fleet-a');
    const name = (await allocate(url, { namespace })).body.gameServerName ?? '';
    scene.scale('arena', 0);
    await process.says('Session marked as overflow');
    assert.equal(scene.pod(name).metadata.labels?.['game'], '');
    assert.equal(scene.pod(name).metadata.annotations?.['event'], 'overflow');
  });
});

test('without the API server requests are refused clearly, and nothing is allocated twice when it is back', async () => {
  await using scene = await oneFleet(3);
  const { url } = await scene.serve('fleet-a', { ALLOCATION_TIMEOUT: '1s' });
  const fault = scene.api.faults.add({ fault: { kind: 'status', status: 503 } });
  const refused = await allocate(url, withSession('match-1'));
  assert.equal(refused.status, 503);
  assert.equal(refused.body['code'], 14);
  scene.api.faults.remove(fault);
  const answers = await eventually('it answers again', async () => {
    const replies = [await allocate(url, withSession('match-1')), await allocate(url, withSession('match-1'))];
    return replies.every(({ status }) => status === 200) && replies;
  });
  assert.equal(new Set(answers.map(({ body }) => body.gameServerName)).size, 1);
  const allocated = scene.pods().filter(({ metadata }) => metadata.labels?.['spotable.dev/allocation'] === 'allocated');
  assert.equal(allocated.length, 1);
});
