import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkInventoryEvent } from '../../../shared/events/parse-event.ts';
import type { InterruptionMessage } from '../../../shared/link/link-message.ts';
import { unknownInstance } from '../../../shared/metadata/instance.ts';
import { FakeAgent } from './fake-agent.ts';
import { eventually, fixture, temporaryFolder, WrapperProcess } from './wrapper-process.ts';

const parallel = { concurrency: 4 };

function interruption(inMs: number, marginMs = 1000): InterruptionMessage {
  const deadline = Date.now() + inMs;
  return {
    type: 'interruption',
    id: 'i-1/spot-termination',
    kind: 'spot-termination',
    action: 'terminate',
    deadline: new Date(deadline).toISOString(),
    end_by: new Date(deadline - marginMs).toISOString(),
  };
}

const stubborn = ['sh', '-c', 'trap "" TERM; echo up; while :; do sleep 0.1; done'];

suite('A wrapper on a node with an agent', parallel, () => {
  test('tells who it is, hears of the interruption, tells its game, and hands over all its events', async (t) => {
    const agent = await FakeAgent.listen(t, {
      instance: { ...unknownInstance, region: 'eu-west-1', instanceId: 'i-1', publicIpv4: '192.0.2.9' },
    });
    const env = { POD_NAME: 'arena-1', POD_NAMESPACE: 'games', POD_UID: 'uid-1' };
    const wrapper = new WrapperProcess(t, ['--link', agent.path], fixture('udp-game.ts'), { env });
    await agent.event('ready');
    const notice = interruption(20_000);
    agent.tell(notice);
    assert.equal(await wrapper.status(), 3);
    const { namespace, pod, pod_uid: uid, pid, ports } = agent.hellos[0] ?? assert.fail();
    assert.deepEqual([namespace, pod, uid, pid], ['games', 'arena-1', 'uid-1', wrapper.pid]);
    assert.deepEqual(Object.keys(ports), ['SERVER_PORT', 'RCON_PORT']);
    assert.deepEqual(agent.names(), ['starting', 'ready', 'terminating', 'terminated']);
    assert.deepEqual(agent.states, ['starting', 'ready', 'terminating', 'terminated']);
    assert.deepEqual(
      agent.events.map(({ data }) => data.sequence),
      [1, 2, 3, 4],
    );
    for (const event of agent.events) assert.deepEqual(checkInventoryEvent(event), { event });
    const { data } = await agent.event('terminating');
    assert.ok('reason' in data);
    assert.deepEqual(
      [data.reason, data.deadline, data.public_hostname, data.node],
      ['spot-termination', notice.deadline, '192.0.2.9', 'node-1'],
    );
    assert.ok(
      wrapper.output.includes(`told ${notice.deadline}`),
      'the deadline was not in its file when the game was told',
    );
    assert.equal((await wrapper.said('Game server ended'))['unsentEvents'], 0);
  });

  test('kills a game that will not go one second before the end that the agent named', async (t) => {
    const agent = await FakeAgent.listen(t);
    const wrapper = new WrapperProcess(t, ['--link', agent.path], stubborn);
    await wrapper.printed(/up/);
    const notice = interruption(5000);
    agent.tell(notice);
    assert.equal(await wrapper.status(), 137);
    const leftMs = Date.parse(notice.end_by ?? '') - (await wrapper.said('Game killed')).time;
    assert.ok(leftMs > -2000 && leftMs <= 1000, `killed ${leftMs} ms before the end`);
    assert.deepEqual(agent.names(), ['starting', 'terminating', 'terminated']);
  });

  test('keeps to the interruption when SIGTERM follows, and moves with a sooner end', async (t) => {
    const agent = await FakeAgent.listen(t);
    const wrapper = new WrapperProcess(t, ['--link', agent.path, '--grace-period', '1s'], stubborn);
    await wrapper.printed(/up/);
    agent.tell(interruption(60_000));
    await wrapper.said('Game told');
    wrapper.signal('SIGTERM');
    const sooner = interruption(4000);
    agent.tell(sooner);
    await wrapper.said('Interruption deadline moved');
    assert.equal(await wrapper.status(), 137);
    const leftMs = Date.parse(sooner.end_by ?? '') - (await wrapper.said('Game killed')).time;
    assert.ok(leftMs > -2000 && leftMs <= 1000, `killed ${leftMs} ms before the end`);
  });

  test('does not start a game that would only be ended, and starts it when the interruption is cancelled', async (t) => {
    const notice = interruption(60_000);
    const agent = await FakeAgent.listen(t, { interruption: notice });
    const wrapper = new WrapperProcess(t, ['--link', agent.path], ['sh', '-c', 'exit 6']);
    await wrapper.said('Game held back: an interruption is under way');
    assert.ok(!wrapper.hasSaid('Game started'));
    agent.tell({ type: 'cancelled', id: notice.id });
    assert.equal(await wrapper.status(), 6);
  });

  test('starts no game either where an older agent waits for the hello before it says anything', async (t) => {
    const notice = interruption(60_000);
    const agent = await FakeAgent.listen(t, { interruption: notice, speaksFirst: false });
    const wrapper = new WrapperProcess(t, ['--link', agent.path], ['sh', '-c', 'exit 6']);
    await wrapper.said('Game held back: an interruption is under way');
    assert.equal(agent.hellos.length, 1);
    agent.tell({ type: 'cancelled', id: notice.id });
    assert.equal(await wrapper.status(), 6);
    await agent.event('terminated');
  });

  test('that holds its game ends with 0 at SIGTERM, and by itself at the end', async (t) => {
    const agent = await FakeAgent.listen(t, { interruption: interruption(60_000) });
    const ended = new WrapperProcess(t, ['--link', agent.path], ['true']);
    await ended.said('Game held back: an interruption is under way');
    ended.signal('SIGTERM');
    assert.equal(await ended.status(), 0);
    const soon = await FakeAgent.listen(t, { interruption: interruption(2000) });
    const expired = new WrapperProcess(t, ['--link', soon.path], ['true']);
    assert.equal(await expired.status(), 0);
    assert.ok(!expired.hasSaid('Game started') && expired.hasSaid('Game was never started'));
  });

  test('takes a cancelled interruption back as long as its game plays on', async (t) => {
    const agent = await FakeAgent.listen(t);
    const wrapper = new WrapperProcess(t, ['--link', agent.path, '--stop-at', '20s'], fixture('udp-game.ts'));
    await agent.event('ready');
    const notice = interruption(60_000);
    agent.tell(notice);
    await agent.event('terminating');
    agent.tell({ type: 'cancelled', id: notice.id });
    await eventually('it is ready again', () => agent.names().at(-1) === 'ready' && agent.names().length === 4);
    assert.ok(!wrapper.hasSaid('Game told'));
  });

  test('goes on under a risk without a deadline, and says so in its labels', async (t) => {
    const agent = await FakeAgent.listen(t);
    const wrapper = new WrapperProcess(t, ['--link', agent.path], fixture('udp-game.ts'));
    await agent.event('ready');
    agent.tell({
      type: 'interruption',
      id: 'i-1/rebalance',
      kind: 'rebalance',
      action: 'none',
      deadline: null,
      end_by: null,
    });
    const event = await eventually('the label is there', () =>
      agent.events.find(({ data }) => 'labels' in data && data.labels['spotable.dev/at-risk'] === 'rebalance'),
    );
    assert.equal(event.data.status, 'ready');
    agent.tell({ type: 'cancelled', id: 'i-1/rebalance' });
    await eventually('the label is gone', () => {
      const last = agent.events.at(-1)?.data;
      return last !== undefined && 'labels' in last && Object.keys(last.labels).length === 0;
    });
    assert.ok(!wrapper.hasSaid('Game told'));
  });

  test('says hello again to an agent that comes back, and repeats what was not acknowledged', async (t) => {
    const agent = await FakeAgent.listen(t, { acknowledges: false });
    const wrapper = new WrapperProcess(t, ['--link', agent.path], fixture('udp-game.ts'));
    const starting = await agent.event('starting');
    await wrapper.said('Game ready');
    await agent.close();
    await wrapper.said('Agent link lost');
    const next = await FakeAgent.listen(t, { path: agent.path });
    const repeated = await next.event('starting');
    assert.deepEqual(repeated, starting);
    await next.event('ready');
    assert.equal(next.hellos.length, 1);
    assert.ok(next.states.includes('ready'));
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 3);
    assert.deepEqual(
      next.names().filter((name) => name !== 'heartbeat'),
      ['starting', 'ready', 'terminating', 'terminated'],
    );
  });

  test('waits with its last words for an agent that is being replaced, as long as there is time', async (t) => {
    const agent = await FakeAgent.listen(t);
    const wrapper = new WrapperProcess(t, ['--link', agent.path], fixture('udp-game.ts'));
    await agent.event('ready');
    agent.tell(interruption(60_000));
    await agent.event('terminating');
    await agent.close();
    await wrapper.said('Game ended');
    // Longer than a wrapper has for its last words where no end is near.
    await sleep(6000);
    const next = await FakeAgent.listen(t, { path: agent.path });
    await next.event('terminated');
    assert.equal(await wrapper.status(), 3);
    assert.equal((await wrapper.said('Game server ended'))['unsentEvents'], 0);
  });

  test('looks for an agent more often when its own end is near', async (t) => {
    const agent = await FakeAgent.listen(t);
    const wrapper = new WrapperProcess(t, ['--link', agent.path, '--grace-period', '3s'], fixture('udp-game.ts'));
    await agent.event('ready');
    await agent.close();
    await wrapper.said('Agent link lost');
    // By now it looks every four to eight seconds.
    await sleep(7000);
    wrapper.signal('SIGTERM');
    await wrapper.said('Game ended');
    const next = await FakeAgent.listen(t, { path: agent.path });
    await next.event('terminated');
    assert.equal(await wrapper.status(), 3);
  });

  test('gives up at its end, or when somebody presses, and names what was lost', async (t) => {
    const flags = async () => {
      const agent = await FakeAgent.listen(t);
      const wrapper = new WrapperProcess(t, ['--link', agent.path], fixture('udp-game.ts'));
      await agent.event('ready');
      return { agent, wrapper };
    };
    const [late, pressed] = await Promise.all([flags(), flags()]);
    for (const [{ agent, wrapper }, notice] of [
      [late, interruption(5000)],
      [pressed, interruption(100_000)],
    ] as const) {
      agent.tell(notice);
      await agent.event('terminating');
      await agent.close();
      await wrapper.said('Game ended');
    }
    pressed.wrapper.signal('SIGTERM');
    pressed.wrapper.signal('SIGINT');
    for (const { wrapper } of [late, pressed]) {
      assert.equal(await wrapper.status(), 3);
      const { events } = (await wrapper.said('Inventory events lost')) as unknown as { events: string[] };
      assert.deepEqual(
        events.map((id) => id.split('/')[2]),
        ['terminated'],
      );
    }
  });

  test('does not call an event lost that the agent has taken and not answered', async (t) => {
    const agent = await FakeAgent.listen(t, { acknowledges: false });
    const wrapper = new WrapperProcess(t, ['--link', agent.path, '--grace-period', '3s'], fixture('udp-game.ts'));
    for (const name of ['starting', 'ready']) agent.acknowledge(await agent.event(name));
    wrapper.signal('SIGTERM');
    agent.acknowledge(await agent.event('terminating'));
    await agent.event('terminated');
    assert.equal(await wrapper.status(), 3);
    const { events } = (await wrapper.said('Inventory events unconfirmed: the queue may have them')) as unknown as {
      events: string[];
    };
    assert.deepEqual(
      events.map((id) => id.split('/')[2]),
      ['terminated'],
    );
    assert.ok(!wrapper.hasSaid('Inventory events lost'));
  });

  test('starts no game in vain on a node that is so busy that the agent takes seconds to speak', async (t) => {
    const agent = await FakeAgent.listen(t, { interruption: interruption(60_000), speaksAfterMs: 2000 });
    const wrapper = new WrapperProcess(t, ['--link', agent.path], ['true']);
    await wrapper.said('Game held back: an interruption is under way');
    assert.ok(!wrapper.hasSaid('Game started'));
    const stopped = new WrapperProcess(t, ['--link', agent.path], ['true']);
    await stopped.said('Ports leased');
    stopped.signal('SIGTERM');
    assert.equal(await stopped.status(), 0);
    assert.ok(!stopped.hasSaid('Game started'));
  });

  test('finds an agent that starts later', async (t) => {
    const path = `${temporaryFolder(t)}/link`;
    const wrapper = new WrapperProcess(t, ['--link', path], fixture('udp-game.ts'));
    await wrapper.said('No agent on this node');
    await wrapper.said('Game ready');
    const agent = await FakeAgent.listen(t, { path });
    await agent.event('ready');
    agent.tell(interruption(20_000));
    assert.equal(await wrapper.status(), 3);
  });

  test('leaves an agent that talks garbage, keeps its game, and comes back', async (t) => {
    const agent = await FakeAgent.listen(t);
    const wrapper = new WrapperProcess(t, ['--link', agent.path], fixture('udp-game.ts'));
    await agent.event('ready');
    agent.write('{"type":"from the future","x":1}\n');
    agent.write('no json\n');
    assert.match(String((await wrapper.said('Agent link lost'))['reason']), /not JSON/);
    await eventually('it says hello again', () => agent.hellos.length === 2);
    agent.write('x'.repeat(100_000));
    await eventually('it says hello a third time', () => agent.hellos.length === 3);
    agent.tell(interruption(20_000));
    assert.equal(await wrapper.status(), 3);
  });

  test('starts its game though the agent accepts and says nothing', async (t) => {
    const path = `${temporaryFolder(t)}/link`;
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket)).listen({ path });
    t.after(() => server.close());
    t.after(() => sockets.map((socket) => socket.destroy()));
    const wrapper = new WrapperProcess(t, ['--link', path], ['true']);
    assert.equal(await wrapper.status(), 0);
  });

  test('believes no process that took an abstract address: no token, no events, no end of the game', async (t) => {
    const name = `spotable-squatter-${process.pid}`;
    const token = `${temporaryFolder(t)}/token`;
    writeFileSync(token, 'secret');
    const squatter = await FakeAgent.listen(t, { path: `\0${name}` });
    const flags = ['--link', `@${name}`, '--link-token-file', token];
    const wrapper = new WrapperProcess(t, flags, fixture('udp-game.ts'));
    await wrapper.said('Agent not trusted: any process on the node may have taken the address of the link');
    await wrapper.said('Game ready');
    squatter.tell(interruption(5000));
    // It hangs up on what it cannot read, and by then it has heard of the interruption.
    squatter.write('no json\n');
    await eventually('it has come back', () => squatter.hellos.length === 2);
    assert.ok(!wrapper.hasSaid('Interruption learned') && !wrapper.hasSaid('Game told'));
    assert.deepEqual([squatter.events, squatter.states], [[], []]);
    assert.equal('token' in (squatter.hellos[0] ?? assert.fail()), false);
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 3);
  });

  test('believes nobody either at a path whose directory others may write, unless it is told to', async (t) => {
    const folder = temporaryFolder(t);
    chmodSync(folder, 0o777);
    const agent = await FakeAgent.listen(t, { path: `${folder}/link` });
    const wary = new WrapperProcess(t, ['--link', agent.path], ['sh', '-c', 'exit 6']);
    assert.equal(await wary.status(), 6);
    assert.deepEqual(agent.events, []);
    const trusting = new WrapperProcess(t, ['--link', agent.path, '--trust-link'], ['sh', '-c', 'exit 6']);
    assert.equal(await trusting.status(), 6);
    assert.deepEqual(agent.names(), ['starting', 'terminated']);
  });

  test('writes its link and its state into the state file', async (t) => {
    const agent = await FakeAgent.listen(t);
    const wrapper = new WrapperProcess(
      t,
      ['--link', agent.path],
      ['sh', '-c', 'echo "file $SPOTABLE_STATE_FILE"; sleep 1000'],
    );
    const file = (await wrapper.printed(/^file /)).slice(5);
    await eventually(
      'it is linked',
      () => (JSON.parse(readFileSync(file, 'utf8')) as { link: string }).link === 'linked',
    );
    await agent.close();
    await eventually('it is not', () => (JSON.parse(readFileSync(file, 'utf8')) as { link: string }).link === 'none');
  });
});
