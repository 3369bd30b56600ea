import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InventoryView, type Outcome } from '../../../inventory/fold/inventory-view.ts';
import {
  type GameServerData,
  type GameServerEvent,
  type GameServerState,
  gameServerEvent,
  type InventoryEvent,
  type NodeEvent,
  type NodeState,
  nodeEvent,
} from '../../../shared/events/event.ts';

const startMs = Date.UTC(2026, 3, 24, 12);
const leaseMs = 30_000;

interface Said extends Partial<GameServerData> {
  readonly status: GameServerState;
  readonly sequence: number;
  /** Seconds since the start, by the sender's clock. */
  readonly at?: number;
}

function said({ at = 0, ...data }: Said, isHeartbeat = false): GameServerEvent {
  const nowMs = startMs + at * 1000;
  const hasEnded = data.status === 'terminated' || data.status === 'lost';
  const whole: GameServerData = {
    public_hostname: null,
    public_port: 1,
    region: 'eu-west-1',
    type: 'arena',
    game_server_id: 'gs-1',
    lease_expires_at: hasEnded ? null : new Date(nowMs + leaseMs).toISOString(),
    public_ip: null,
    ports: {},
    zone: null,
    node: 'node-1',
    instance_id: 'i-1',
    instance_type: null,
    lifecycle: null,
    pod: null,
    namespace: null,
    labels: {},
    players: null,
    deadline: null,
    reason: null,
    exit_code: null,
    ...data,
  };
  return gameServerEvent(isHeartbeat ? 'heartbeat' : data.status, whole, nowMs);
}

function nodeSaid(
  status: NodeState,
  at: number,
  { node = 'node-1', instance_id = 'i-1' as string | null, deadline = 120 as number | null } = {},
): NodeEvent {
  const placement = { region: null, zone: null, node, instance_id, instance_type: null, lifecycle: null };
  const instant = deadline === null ? null : new Date(startMs + deadline * 1000).toISOString();
  return nodeEvent(
    {
      ...placement,
      status,
      interruption_id: 'x',
      kind: 'spot-termination',
      action: 'terminate',
      deadline: instant,
      sequence: 1,
    },
    startMs + at * 1000,
  );
}

/**
 * Folds the events; each is heard when it is said, unless a pair says otherwise. Then the lease time is `at` seconds.
 */
function table(
  events: readonly (InventoryEvent | readonly [InventoryEvent, heardAt: number])[],
  at = 0,
): InventoryView {
  const view = new InventoryView();
  for (const item of events) {
    const [event, heardMs] = 'length' in item ? [item[0], startMs + item[1] * 1000] : [item, Date.parse(item.time)];
    view.apply(event, heardMs);
  }
  view.expire(startMs + at * 1000);
  return view;
}

const ready = said({ status: 'ready', sequence: 1 });
const endings: readonly (readonly [name: string, view: () => InventoryView, status: GameServerState | undefined])[] = [
  [
    'a lower sequence that comes late changes nothing',
    () => table([said({ status: 'allocated', sequence: 3 }), said({ status: 'ready', sequence: 2 })]),
    'allocated',
  ],
  [
    'terminated stays, even against a higher sequence',
    () => table([said({ status: 'ready', sequence: 9 }), said({ status: 'terminated', sequence: 8 })]),
    'terminated',
  ],
  ['a lease that is over makes it lost', () => table([ready], 30), 'lost'],
  ['a lease that is not quite over does not', () => table([ready], 29.999), 'ready'],
  [
    'a fresh event revives who was lost by its lease',
    () => table([ready, said({ status: 'ready', sequence: 2, at: 40 })], 45),
    'ready',
  ],
  ['a late event does not', () => table([said({ status: 'ready', sequence: 2 }), [ready, 29]], 31), 'lost'],
  [
    "the agent's lost is final for what was said before it, however high its sequence",
    () => table([said({ status: 'lost', sequence: 2, at: 20 }), said({ status: 'ready', sequence: 7, at: 19 })], 20),
    'lost',
  ],
  [
    'who speaks after it was called lost lives',
    () => table([said({ status: 'lost', sequence: 2, at: 20 }), said({ status: 'ready', sequence: 3, at: 21 })], 22),
    'ready',
  ],
  [
    "the agent's guess of a sequence is no conflict with the wrapper's own",
    () => table([said({ status: 'lost', sequence: 2, at: 20 }), said({ status: 'ready', sequence: 2, at: 10 })], 21),
    'lost',
  ],
  [
    'terminated wins over lost of the same sequence',
    () =>
      table([said({ status: 'lost', sequence: 2, at: 20 }), said({ status: 'terminated', sequence: 2, at: 19 })], 21),
    'terminated',
  ],
  [
    'a clock that is an hour ahead lengthens no lease',
    () => table([[said({ status: 'ready', sequence: 1, at: 3600 }), 0]], 31),
    'lost',
  ],
  [
    'a clock that is an hour behind shortens none',
    () => table([[said({ status: 'ready', sequence: 1, at: -3600 }), 0]], 29),
    'ready',
  ],
  [
    'a lease of years ends within a day',
    () => table([said({ status: 'ready', sequence: 1, lease_expires_at: '2099-01-01T00:00:00Z' })], 86_400),
    'lost',
  ],
  [
    'an interrupted node takes its game servers with it',
    () => table([ready, nodeSaid('interrupted', 1)]),
    'terminating',
  ],
  ['also those that come later', () => table([nodeSaid('interrupted', 1), ready]), 'terminating'],
  ['a drained node too', () => table([nodeSaid('drained', 1), ready]), 'terminating'],
  ['a node at risk does not', () => table([ready, nodeSaid('at-risk', 1, { deadline: null })]), 'ready'],
  [
    'a recovered node gives them back',
    () => table([ready, nodeSaid('interrupted', 1), nodeSaid('recovered', 2)]),
    'ready',
  ],
  [
    'also when the recovery arrives first',
    () => table([ready, nodeSaid('recovered', 2), nodeSaid('interrupted', 1)]),
    'ready',
  ],
  [
    'another instance of the same name is not meant',
    () => table([ready, nodeSaid('interrupted', 1, { instance_id: 'i-0' })]),
    'ready',
  ],
  [
    'an agent that does not know its instance is understood by the name',
    () => table([ready, nodeSaid('interrupted', 1, { instance_id: null })]),
    'terminating',
  ],
  [
    'so is a game server that does not',
    () => table([said({ status: 'ready', sequence: 1, instance_id: null }), nodeSaid('interrupted', 1)]),
    'terminating',
  ],
  [
    'who still speaks long after the deadline has outlived the interruption',
    () => table([nodeSaid('interrupted', 1), said({ status: 'ready', sequence: 1, at: 721 })], 722),
    'ready',
  ],
  [
    'who ended is not called terminating for its node',
    () => table([said({ status: 'terminated', sequence: 1 }), nodeSaid('interrupted', 1)]),
    'terminated',
  ],
  ['who ended long ago is forgotten', () => table([said({ status: 'terminated', sequence: 1 })], 3600), undefined],
];

for (const [name, view, status] of endings)
  test(name, () => {
    assert.equal(view().row('gs-1')?.status, status);
  });

const kinds: readonly (readonly [name: string, events: readonly InventoryEvent[], last: Outcome['kind']])[] = [
  ['the same event twice is a repeat', [ready, structuredClone(ready)], 'repeat'],
  [
    'an older event that was missing is folded',
    [said({ status: 'ready', sequence: 3 }), said({ status: 'starting', sequence: 2 })],
    'folded',
  ],
  [
    'the same sequence with another content is a conflict',
    [ready, said({ status: 'ready', sequence: 1, public_port: 2 })],
    'conflict',
  ],
  ['the same sequence as another type is a conflict', [ready, said({ status: 'allocated', sequence: 1 })], 'conflict'],
  [
    'an id that was used for something else is a conflict',
    [ready, { ...nodeSaid('interrupted', 1), id: ready.id }],
    'conflict',
  ],
  [
    'a node event twice is a repeat',
    [nodeSaid('drained', 1), nodeSaid('drained', 1)].map((event) => ({ ...event, id: 'n' })),
    'repeat',
  ],
];
for (const [name, events, last] of kinds)
  test(name, () => {
    const view = new InventoryView();
    const outcomes = events.map((event) => view.apply(event, startMs));
    assert.equal(outcomes.at(-1)?.kind, last);
  });

test('a conflict leaves the table as it is', () => {
  const view = table([ready, said({ status: 'ready', sequence: 1, public_port: 2 })]);
  assert.equal(view.row('gs-1')?.public_port, 1);
});

test('a message that was stuck for long does not bring back who was forgotten', () => {
  const view = table([ready, said({ status: 'terminated', sequence: 2, at: 5 })], 3700);
  assert.equal(view.apply(ready, startMs).kind, 'late');
  assert.equal(view.size, 0);
});

test('heartbeats that say nothing new are folded without a change, and what they do say is one', () => {
  const view = table([ready]);
  assert.deepEqual(view.apply(said({ status: 'ready', sequence: 2, at: 5 }, true), startMs + 5000), {
    kind: 'folded',
    changes: [],
  });
  const more = view.apply(said({ status: 'ready', sequence: 3, at: 10, players: 4 }, true), startMs + 10_000);
  assert.deepEqual(
    more.kind === 'folded' &&
      more.changes.map(
        (change) => change.kind === 'game-server' && [change.before, change.row.status, change.row.players],
      ),
    [['ready', 'ready', 4]],
  );
});

test('the earlier of two deadlines counts, and the reason is the own one where there is one', () => {
  const own = said({
    status: 'terminating',
    sequence: 1,
    deadline: new Date(startMs + 90_000).toISOString(),
    reason: 'sigterm',
  });
  const row = table([own, nodeSaid('interrupted', 1)]).row('gs-1');
  assert.deepEqual([row?.deadline, row?.reason], [new Date(startMs + 90_000).toISOString(), 'sigterm']);
  const marked = table([ready, nodeSaid('interrupted', 1)]).row('gs-1');
  assert.deepEqual(
    [marked?.deadline, marked?.reason, marked?.own_status],
    [new Date(startMs + 120_000).toISOString(), 'spot-termination', 'ready'],
  );
});

test('what is written down and restored is the same table', () => {
  const view = table([
    ready,
    said({ status: 'ready', sequence: 4, at: 3 }),
    nodeSaid('interrupted', 1),
    said({ status: 'lost', sequence: 9, game_server_id: 'gs-2' }),
  ]);
  const again = new InventoryView();
  again.restore(
    ['gs-1', 'gs-2'].flatMap((id) => view.gameServerRecord(id) ?? []),
    ['i-1'].flatMap((key) => view.nodeRecord(key) ?? []),
  );
  again.expire(view.nowMs);
  assert.deepEqual(again.rows(), view.rows());
  assert.deepEqual(again.nodes(), view.nodes());
  assert.equal(again.apply(said({ status: 'ready', sequence: 4, at: 3 }), startMs).kind, 'repeat');
});

test('a node without game servers is forgotten in time, one with them is not', () => {
  const view = table(
    [
      nodeSaid('drained', 1),
      nodeSaid('interrupted', 1, { node: 'node-2', instance_id: 'i-2' }),
      said({ status: 'ready', sequence: 1, at: 3600, node: 'node-2', instance_id: 'i-2' }),
    ],
    3601,
  );
  assert.deepEqual(
    view.nodes().map(({ key }) => key),
    ['i-2'],
  );
});

test('the lease time never goes back, so that nobody rises again for a clock that does', () => {
  const view = table([said({ status: 'ready', sequence: 3 })], 31);
  view.expire(startMs);
  view.apply(said({ status: 'ready', sequence: 4, at: 0.5 }), startMs + 500);
  assert.equal(view.row('gs-1')?.status, 'lost');
});
