import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { SessionMessage } from '../../../shared/link/link-message.ts';
import { FakeAgent } from '../wrapper/fake-agent.ts';
import { eventually, fixture, WrapperProcess } from '../wrapper/wrapper-process.ts';

const game = [process.execPath, fileURLToPath(new URL('fixtures/session-game.ts', import.meta.url))];

function session(id: string | null, more: Partial<SessionMessage> = {}): SessionMessage {
  return { type: 'session', session_id: id, labels: {}, annotations: {}, ends_if_new: true, spent: false, ...more };
}

suite('A session that a fleet gives', { concurrency: 3 }, () => {
  test('reaches a game by its watch and a file, and the inventory; Ready() ends it, once', async (t) => {
    const agent = await FakeAgent.listen(t);
    const flags = ['--ready', 'sdk'];
    const wrapper = new WrapperProcess(t, flags, game, { env: { LINK: agent.path } });
    await agent.event('ready');
    agent.tell(session(null));
    await eventually('it says that it can take one', () => agent.said.at(-1)?.session_taken === '');
    agent.tell(session('match-1', { labels: { mode: 'dm', 'spotable.dev/fleet': 'arena' } }));
    await wrapper.printed(/game Allocated mode=dm event=- file=match-1/);
    const { data } = await agent.event('allocated');
    assert.deepEqual('labels' in data && data.labels, {
      'spotable.dev/fleet': 'arena',
      'spotable.dev/session-id': 'match-1',
    });
    await eventually('it says that it has taken it', () => agent.said.at(-1)?.session_taken === 'match-1');
    assert.equal(agent.said.at(-1)?.occupancy, 'occupied');
    agent.tell(session('match-1', { labels: { mode: '' }, annotations: { event: 'overflow' } }));
    await wrapper.printed(/game Allocated mode= event=overflow file=match-1/);
    agent.tell(session('match-1', { annotations: { event: 'end' } }));
    await eventually('it says that the session is over', () => agent.said.at(-1)?.session_over === 'match-1');
    await wrapper.printed(/game Ready mode=- event=end file=none/);
    // The pod bears it a little longer; the agent may say so again.
    agent.tell(session('match-1', { annotations: { event: 'again' } }));
    await wrapper.printed(/game Ready mode=- event=again file=none/);
    agent.tell(session(null));
    await eventually('nothing is over any more', () => agent.said.at(-1)?.session_over === undefined);
    agent.tell(session('match-2', { annotations: { event: 'second' } }));
    await wrapper.printed(/game Allocated mode=- event=second file=match-2/);
    agent.tell(session(null));
    await wrapper.printed(/game Ready mode=- event=- file=none/);
  });

  test('reaches a game without the SDK by the file, and the inventory', async (t) => {
    const agent = await FakeAgent.listen(t);
    new WrapperProcess(t, ['--link', agent.path], fixture('udp-game.ts'));
    await agent.event('ready');
    agent.tell(session('match-1', { ends_if_new: false }));
    const { data } = await agent.event('allocated');
    assert.equal('labels' in data && data.labels['spotable.dev/session-id'], 'match-1');
    assert.equal(agent.said.at(-1)?.occupancy, 'occupied');
    agent.tell(session(null));
    await eventually('it is free again', () => agent.said.at(-1)?.occupancy === 'idle');
  });

  test('of another game of the same pod ends this one: it was never ready, and serves nobody', async (t) => {
    const agent = await FakeAgent.listen(t);
    const wrapper = new WrapperProcess(t, ['--link', agent.path, '--ready', 'delay:60s'], fixture('udp-game.ts'));
    await agent.event('starting');
    agent.tell(session('match-1'));
    await wrapper.status();
    const { data } = await agent.event('terminating');
    assert.equal('reason' in data && data.reason, 'spent');
    assert.ok(!agent.names().includes('allocated'));
  });
});
