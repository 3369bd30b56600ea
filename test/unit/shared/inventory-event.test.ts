import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { gameServerEvent, messageGroup, nodeEvent } from '../../../shared/events/event.ts';
import { gameServerData, nodeEvents } from './inventory-arbitraries.ts';

test('the same event of a game server has the same id whenever it is made, and no other has it', () => {
  fc.assert(
    fc.property(gameServerData, fc.nat(), fc.nat(), (data, now, later) => {
      assert.equal(gameServerEvent('ready', data, now).id, gameServerEvent('ready', data, later).id);
      const others = [
        gameServerEvent('heartbeat', data, now),
        gameServerEvent('ready', { ...data, sequence: data.sequence + 1 }, now),
        gameServerEvent('ready', { ...data, game_server_id: `${data.game_server_id}x` }, now),
      ];
      for (const other of others) assert.notEqual(other.id, gameServerEvent('ready', data, now).id);
    }),
  );
});

test('each node event has an id of its own', () => {
  fc.assert(fc.property(nodeEvents, (event) => nodeEvent(event.data, 0).id !== event.id));
});

test('source and subject say where an event comes from even where little is known', () => {
  const placed = { region: null, zone: null, node: 'n1', instance_id: null, instance_type: null, lifecycle: null };
  const interruption = {
    interruption_id: 'x',
    kind: 'rebalance',
    action: 'none',
    deadline: null,
    sequence: 1,
  } as const;
  const event = nodeEvent({ ...placed, ...interruption, status: 'at-risk' }, 0);
  assert.deepEqual(
    [event.source, event.subject, event.type, event.time],
    ['/unknown/n1', 'n1', 'dev.spotable.node.at-risk.v1', '1970-01-01T00:00:00.000Z'],
  );
});

test('each game server and each node is a message group of its own', () => {
  fc.assert(
    fc.property(gameServerData, (data) => messageGroup(gameServerEvent('ready', data, 0)) === data.game_server_id),
  );
});
