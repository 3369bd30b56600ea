import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { InventoryView } from '../../../inventory/fold/inventory-view.ts';
import {
  type GameServerData,
  type GameServerState,
  gameServerEvent,
  gameServerStates,
  type InventoryEvent,
  type NodeData,
  type NodeState,
  nodeEvent,
  nodeStates,
} from '../../../shared/events/event.ts';
import { parseInventoryEvent } from '../../../shared/events/parse-event.ts';

const file = new URL('../../../docs/examples/consumers/events.jsonl', import.meta.url);
const page = new URL('../../../docs/inventory.md', import.meta.url);

const startMs = Date.UTC(2026, 3, 24, 17, 9);
const placement = {
  region: 'eu-west-1',
  zone: 'eu-west-1a',
  node: 'ip-10-0-1-17.eu-west-1.compute.internal',
  instance_id: 'i-0d59937288b749b32',
  instance_type: 'c7g.4xlarge',
  lifecycle: 'spot',
};

function gameServer(
  name: GameServerState | 'heartbeat',
  id: string,
  sequence: number,
  atS: number,
  data: Partial<GameServerData> = {},
): InventoryEvent {
  const nowMs = startMs + atS * 1000;
  const status = name === 'heartbeat' ? 'allocated' : name;
  const hasEnded = status === 'terminated' || status === 'lost';
  const whole: GameServerData = {
    public_hostname: 'ec2-192-0-2-17.eu-west-1.compute.amazonaws.com',
    public_port: 20_000,
    region: placement.region,
    status,
    type: 'arena',
    game_server_id: id,
    sequence,
    lease_expires_at: hasEnded ? null : new Date(nowMs + 90_000).toISOString(),
    public_ip: '192.0.2.17',
    ports: { SERVER_PORT: { port: 20_000, protocol: 'udp+tcp' }, RCON_PORT: { port: 20_001, protocol: 'tcp' } },
    zone: placement.zone,
    node: placement.node,
    instance_id: placement.instance_id,
    instance_type: placement.instance_type,
    lifecycle: placement.lifecycle,
    pod: id,
    namespace: 'arena',
    labels: { map: 'dust2' },
    players: null,
    deadline: null,
    reason: null,
    exit_code: null,
    ...data,
  };
  return gameServerEvent(name, whole, nowMs);
}

function node(status: NodeState, sequence: number, atS: number): InventoryEvent {
  const data: NodeData = {
    ...placement,
    status,
    interruption_id: `${placement.instance_id}/spot-termination`,
    kind: 'spot-termination',
    action: status === 'at-risk' || status === 'recovered' ? 'none' : 'terminate',
    deadline: status === 'interrupted' || status === 'drained' ? '2026-04-24T17:13:00.000Z' : null,
    sequence,
  };
  // A fixed id, so that the examples stay the same.
  return { ...nodeEvent(data, startMs + atS * 1000), id: `8a5ad1c0-3c3f-4f0e-9d4b-00000000000${sequence}` };
}

const going = { deadline: '2026-04-24T17:13:00.000Z', reason: 'spot-termination', players: 12 };
/** The life of one game server whose node is taken, one that dies silently beside it, and the node's own events. */
const examples: readonly InventoryEvent[] = [
  gameServer('starting', 'arena-7f9c-x2x', 1, 0),
  gameServer('ready', 'arena-7f9c-x2x', 2, 4, { players: 0 }),
  gameServer('allocated', 'arena-7f9c-x2x', 3, 20, { players: 12 }),
  gameServer('heartbeat', 'arena-7f9c-x2x', 4, 50, { players: 12 }),
  gameServer('lost', 'arena-7f9c-q8w', 6, 55, { public_port: 20_002, reason: 'killed' }),
  node('at-risk', 1, 57),
  node('recovered', 2, 58),
  node('interrupted', 3, 60),
  gameServer('terminating', 'arena-7f9c-x2x', 5, 60, going),
  gameServer('terminated', 'arena-7f9c-x2x', 6, 150, { ...going, players: 0, exit_code: 0 }),
  node('drained', 4, 151),
];

if (process.env['UPDATE_EXAMPLES'] !== undefined)
  writeFileSync(file, `${examples.map((event) => JSON.stringify(event)).join('\n')}\n`);

test('the examples in the docs are what the code makes, one of every type, and the parser takes them', () => {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    JSON.parse(JSON.stringify(examples)),
  );
  for (const line of lines) assert.ok('event' in parseInventoryEvent(line), line);
  const types = new Set(examples.map(({ type }) => type));
  assert.equal(types.size, gameServerStates.length + 1 + nodeStates.length);
});

test('every event that the page quotes is one of the examples', () => {
  const blocks = [...readFileSync(page, 'utf8').matchAll(/```json\n([\s\S]*?)```/g)].map(([, text]) =>
    JSON.parse(text ?? ''),
  );
  assert.ok(blocks.length >= 2);
  const known = examples.map((event) => JSON.stringify(event));
  for (const block of blocks) assert.ok(known.includes(JSON.stringify(block)), JSON.stringify(block));
});

test('the examples fold into the table that the page promises', () => {
  const view = new InventoryView();
  for (const event of examples) assert.equal(view.apply(event, Date.parse(event.time)).kind, 'folded');
  assert.deepEqual(
    view.rows().map(({ game_server_id, status, exit_code }) => [game_server_id, status, exit_code]),
    [
      ['arena-7f9c-x2x', 'terminated', 0],
      ['arena-7f9c-q8w', 'lost', null],
    ],
  );
});
