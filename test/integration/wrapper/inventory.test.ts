import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkInventoryEvent } from '../../../shared/events/parse-event.ts';
import { FakeAgent } from './fake-agent.ts';
import { names, queue, received, startQueue, toQueue } from './queue-scene.ts';
import { eventually, fixture, temporaryFolder, WrapperProcess } from './wrapper-process.ts';

const parallel = { concurrency: 4 };
suite('A wrapper without an agent', parallel, () => {
  test('publishes its whole life to the queue by itself, in sequence', async (t) => {
    const service = await startQueue(t);
    const options = toQueue(service);
    const env = { ...options.env, POD_NAME: 'arena-1', NODE_NAME: 'node-1', LABELS: 'team=red map=dm6' };
    const wrapper = new WrapperProcess(
      t,
      ['--type', 'arena', '--advertise', 'play.example.org'],
      fixture('udp-game.ts'),
      { env },
    );
    await eventually('it is ready for others', async () => names(await received(service)).includes('ready'));
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 3);
    const events = await received(service);
    assert.deepEqual(names(events), ['starting', 'ready', 'terminating', 'terminated']);
    for (const event of events) assert.deepEqual(checkInventoryEvent(event), { event });
    const [, ready, terminating, terminated] = events.map(({ data }) => data);
    assert.deepEqual(ready?.labels, { team: 'red', map: 'dm6' });
    assert.deepEqual(
      [ready?.type, ready?.public_hostname, ready?.node, ready?.pod],
      ['arena', 'play.example.org', 'node-1', 'arena-1'],
    );
    assert.equal(terminating?.reason, 'sigterm');
    assert.deepEqual([terminated?.exit_code, terminated?.lease_expires_at], [3, null]);
  });

  test('sends heartbeats with a lease that outlasts them, and what the game writes into its status file', async (t) => {
    const service = await startQueue(t);
    const file = `${temporaryFolder(t)}/status.json`;
    const flags = ['--ready', 'delay:10ms', '--heartbeat', '200ms', '--lease', '5s', '--status-file', file];
    const status = JSON.stringify({ players: 4, allocated: true, labels: { map: 'ctf' } });
    const script = `echo '${status}' > "$SPOTABLE_STATUS_FILE"; trap 'exit 0' TERM; while :; do sleep 0.1; done`;
    const wrapper = new WrapperProcess(t, flags, ['sh', '-c', script], toQueue(service));
    const event = await eventually('it is allocated', async () =>
      (await received(service)).find(({ data }) => data.status === 'allocated' && data.players === 4),
    );
    assert.deepEqual(event.data.labels, { map: 'ctf' });
    const beats = await eventually('three heartbeats', async () => {
      const found = (await received(service)).filter(({ type }) => type.includes('heartbeat'));
      return found.length >= 3 && found;
    });
    for (const { time, data } of beats) assert.equal(Date.parse(data.lease_expires_at ?? '') - Date.parse(time), 5000);
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 0);
  });

  test('tells the agent whether anybody plays, where its status file says so', async (t) => {
    const agent = await FakeAgent.listen(t);
    const file = `${temporaryFolder(t)}/status.json`;
    const flags = ['--ready', 'delay:10ms', '--status-file', file];
    const script = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
    const wrapper = new WrapperProcess(t, flags, ['sh', '-c', script], { env: { LINK: agent.path } });
    await agent.event('ready');
    for (const [status, expected] of [
      [{ players: 0 }, undefined],
      [{ players: 2 }, 'occupied'],
      [{ players: 0, allocated: false }, 'idle'],
      [{ players: 2, allocated: false }, 'occupied'],
      [{ allocated: false }, 'idle'],
      [{ allocated: true }, 'occupied'],
    ] as const) {
      writeFileSync(file, JSON.stringify(status));
      await eventually(`it says ${expected}`, () => agent.occupancies.at(-1) === expected);
    }
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 0);
    assert.deepEqual(agent.occupancies.slice(-2), ['occupied', undefined], 'occupied while it ends, and no longer');
  });

  test('whose game dies before it is ready says terminated with its status, and never ready', async (t) => {
    const service = await startQueue(t);
    const folder = temporaryFolder(t);
    const game = ['sh', '-c', 'while [ ! -e "$0/go" ]; do sleep 0.05; done; exit 9', folder];
    const wrapper = new WrapperProcess(t, [], game, toQueue(service));
    await eventually('it is starting', async () => (await received(service)).length > 0);
    writeFileSync(`${folder}/go`, '');
    assert.equal(await wrapper.status(), 9);
    const events = await received(service);
    assert.deepEqual(names(events), ['starting', 'terminated']);
    assert.deepEqual([events[1]?.data.exit_code, events[1]?.data.reason], [9, 'game-exited']);
  });

  test('brings all events in order, none twice, after the queue was down', async (t) => {
    const service = await startQueue(t);
    service.faults.add({ fault: { kind: 'status', status: 503 } });
    const wrapper = new WrapperProcess(
      t,
      ['--heartbeat', '100ms', '--lease', '10s'],
      fixture('udp-game.ts', '--save-ms', '3000'),
      toQueue(service),
    );
    await wrapper.said('Cannot publish inventory events');
    await wrapper.said('Game ready');
    wrapper.signal('SIGTERM');
    await wrapper.said('Game told');
    service.faults.clear();
    assert.equal(await wrapper.status(), 3);
    const events = await received(service);
    assert.deepEqual(
      names(events).filter((name) => name !== 'heartbeat'),
      ['starting', 'ready', 'terminating', 'terminated'],
    );
    const sequences = events.map(({ data }) => data.sequence);
    assert.deepEqual(
      sequences,
      sequences.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(events.map(({ id }) => id)).size, events.length);
  });

  for (const [what, fault, unconfirmed] of [
    ['answers errors', { kind: 'status', status: 500 }, []],
    ['hangs', { kind: 'hang' }, ['starting']],
  ] as const)
    test(`ends in time where the queue ${what} for good, and names what was lost`, async (t) => {
      const service = await startQueue(t);
      service.faults.add({ fault });
      const wrapper = new WrapperProcess(t, ['--grace-period', '4s'], fixture('udp-game.ts'), toQueue(service));
      await wrapper.said('Game ready');
      wrapper.signal('SIGTERM');
      assert.equal(await wrapper.status(), 3);
      const ended = await wrapper.said('Game server ended');
      const endByMs = Date.parse(String((await wrapper.said('Interruption learned'))['endBy']));
      // Without its limit it would try for ever; the rest is room for a busy machine.
      assert.ok(ended.time < endByMs + 5000, `${ended.time - endByMs} ms after its end`);
      const named = (msg: string) => {
        const events = wrapper.log.find((line) => line.msg === msg)?.['events'] ?? [];
        return (events as string[]).map((id) => id.split('/')[2]);
      };
      assert.deepEqual(named('Inventory events unconfirmed: the queue may have them'), unconfirmed);
      const all = ['starting', 'ready', 'terminating', 'terminated'];
      assert.deepEqual(named('Inventory events lost'), all.slice(unconfirmed.length));
      assert.equal(ended['unsentEvents'], 4);
    });

  test('runs its game where the queue does not exist, and says so once', async (t) => {
    const service = await startQueue(t);
    const { env } = toQueue(service);
    const options = { env: { ...env, QUEUE_URL: service.queueUrl('nobody.fifo') } };
    const wrapper = new WrapperProcess(t, [], fixture('udp-game.ts'), options);
    await wrapper.said('Game ready');
    await wrapper.said('Cannot publish inventory events');
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 3);
  });

  test("sends the seed's shape where that is wanted, though an agent would publish", async (t) => {
    const service = await startQueue(t);
    const agent = await FakeAgent.listen(t);
    const flags = ['--format', 'seed', '--type', 'arena', '--link', agent.path];
    new WrapperProcess(t, flags, fixture('udp-game.ts'), toQueue(service));
    const bodies = await eventually('two messages are there', async () => {
      const messages = await service.messages(queue);
      return messages.length >= 2 && messages.map(({ body }) => JSON.parse(body) as Record<string, unknown>[]);
    });
    for (const list of bodies) {
      assert.equal(list.length, 1);
      assert.deepEqual(Object.keys(list[0] ?? {}), ['public_hostname', 'public_port', 'region', 'status', 'type']);
    }
    assert.deepEqual(bodies.map(([first]) => first?.['status']).slice(0, 2), ['starting', 'ready']);
    assert.deepEqual(agent.events, []);
  });

  test('ends its game right without Kubernetes, agent, EC2 and SQS, and says in one line what is missing', async (t) => {
    const blackHole = createServer(() => {}).listen(0, '127.0.0.1');
    t.after(() => blackHole.closeAllConnections());
    t.after(() => blackHole.close());
    await sleep(0);
    const { port } = blackHole.address() as AddressInfo;
    const flags = ['--link', '/none/link', '--metadata-endpoint', `http://127.0.0.1:${port}`];
    const wrapper = new WrapperProcess(t, flags, fixture('udp-game.ts'));
    await wrapper.said('Game ready');
    await wrapper.said('Instance metadata unavailable');
    assert.match(
      String((await wrapper.said('Cannot publish inventory events'))['err']),
      /no agent that publishes, and no --queue-url/,
    );
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 3);
    for (const msg of ['No agent on this node', 'Instance metadata unavailable', 'Cannot publish inventory events'])
      assert.equal(wrapper.log.filter((line) => line.msg === msg).length, 1, msg);
    const lateMs = (await wrapper.said('Game server ended')).time - (await wrapper.said('Game ended')).time;
    assert.ok(lateMs < 500, `${lateMs} ms after the game, with nowhere to send anything`);
  });
});

suite('A wrapper whose agent does not publish', parallel, () => {
  test('publishes by itself', async (t) => {
    const service = await startQueue(t);
    const agent = await FakeAgent.listen(t, { publishes: false });
    new WrapperProcess(t, ['--link', agent.path], fixture('udp-game.ts'), toQueue(service));
    await eventually('it is ready for others', async () => names(await received(service)).includes('ready'));
    assert.deepEqual(agent.events, []);
  });

  test('waits for each agent to find out who it is, and publishes nothing by itself meanwhile', async (t) => {
    const service = await startQueue(t);
    const agent = await FakeAgent.listen(t, { verdictMs: 200 });
    const flags = ['--link', agent.path, '--heartbeat', '60s'];
    const wrapper = new WrapperProcess(t, flags, fixture('udp-game.ts'), toQueue(service));
    await agent.event('ready');
    await agent.close();
    await wrapper.said('Agent link lost');
    const soon = new Date(Date.now() + 20_000).toISOString();
    const notice = { type: 'interruption', id: 'i', kind: 'spot-termination', action: 'terminate' } as const;
    const next = await FakeAgent.listen(t, {
      path: agent.path,
      verdictMs: 200,
      interruption: { ...notice, deadline: soon, end_by: soon },
    });
    await next.event('terminated');
    assert.equal(await wrapper.status(), 3);
    assert.deepEqual(next.names(), ['terminating', 'terminated']);
    assert.deepEqual(await received(service), []);
  });

  test('takes over when the agent hangs', async (t) => {
    const service = await startQueue(t);
    const agent = await FakeAgent.listen(t);
    const flags = ['--link', agent.path, '--heartbeat', '500ms', '--lease', '10s'];
    const wrapper = new WrapperProcess(t, flags, fixture('udp-game.ts'), toQueue(service));
    await agent.event('ready');
    agent.tell({ type: 'alive', next_ms: 500 });
    agent.hang();
    await eventually('the queue hears from it', async () => names(await received(service)).includes('heartbeat'));
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 3);
    // A heartbeat that was being sent at the signal may come in between.
    const said = names(await received(service)).filter((name) => name !== 'heartbeat');
    assert.deepEqual(said.slice(-2), ['terminating', 'terminated']);
  });

  test('takes over when the agent dies, so that its last words are heard', async (t) => {
    const service = await startQueue(t);
    const agent = await FakeAgent.listen(t);
    const wrapper = new WrapperProcess(t, ['--link', agent.path], fixture('udp-game.ts'), toQueue(service));
    await agent.event('ready');
    await agent.close();
    await wrapper.said('Agent link lost');
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 3);
    assert.deepEqual(names(await received(service)).slice(-2), ['terminating', 'terminated']);
  });
});
