import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { InventoryEvent } from '../../../shared/events/event.ts';
import type { Inventory } from '../../../shared/events/inventory.ts';
import { checkInventoryEvent } from '../../../shared/events/parse-event.ts';
import type { WrapperMessage } from '../../../shared/link/link-message.ts';
import { type Instance, unknownInstance } from '../../../shared/metadata/instance.ts';
import { endCauseOf } from '../../../wrapper/link/end-cause.ts';
import {
  advertisedAddress,
  EventWriter,
  type Placement,
  type Report,
} from '../../../wrapper/publishing/event-writer.ts';
import { LinkInventory } from '../../../wrapper/publishing/link-inventory.ts';
import { NotSent, RoutedInventory } from '../../../wrapper/publishing/routed-inventory.ts';
import { seedMessage } from '../../../wrapper/publishing/seed-message.ts';

const instance: Instance = {
  ...unknownInstance,
  instanceId: 'i-0123',
  region: 'eu-west-1',
  publicHostname: 'ec2.example.org',
  publicIpv4: '192.0.2.1',
  localIpv4: '10.0.0.1',
};
const placement: Placement = { instance, node: 'node-1', publicHostname: 'ec2.example.org' };
const report: Report = {
  name: 'starting',
  status: 'starting',
  labels: {},
  players: null,
  deadlineMs: undefined,
  reason: undefined,
  exitCode: undefined,
};

function writer(): { writer: EventWriter; events: InventoryEvent[] } {
  const events: InventoryEvent[] = [];
  const identity = {
    gameServerId: 'arena-1.abc123',
    type: 'arena',
    ports: [{ name: 'SERVER_PORT', port: 20_001, protocol: 'udp' as const }],
    pod: 'arena-1',
    namespace: 'games',
  };
  return {
    writer: new EventWriter({ identity, leaseMs: 90_000, now: () => 1000, emit: (event) => events.push(event) }),
    events,
  };
}

function someEvents(count: number): InventoryEvent[] {
  const { writer: some, events } = writer();
  some.place(placement);
  for (let index = 0; index < count; index++) some.report(report);
  return events;
}

suite('Events of a game server', () => {
  test('wait until it is known where it is, then come in sequence and with the time they were made', () => {
    const { writer: some, events } = writer();
    some.report(report);
    some.report({ ...report, name: 'ready', status: 'ready' });
    assert.equal(events.length, 0);
    some.place(placement);
    some.report({ ...report, name: 'terminated', status: 'terminated', reason: 'game-exited', exitCode: 3 });
    assert.deepEqual(
      events.map(({ type, id, source }) => [type.split('.')[3], id, source]),
      [
        ['starting', 'arena-1.abc123/1/starting', '/eu-west-1/i-0123'],
        ['ready', 'arena-1.abc123/2/ready', '/eu-west-1/i-0123'],
        ['terminated', 'arena-1.abc123/3/terminated', '/eu-west-1/i-0123'],
      ],
    );
  });

  test('keep to the contract, wherever nothing is known of the instance too', () => {
    for (const place of [placement, { instance: unknownInstance, node: undefined, publicHostname: undefined }]) {
      const { writer: some, events } = writer();
      some.place(place);
      some.report({ ...report, players: 3, labels: { map: 'dm6' } });
      some.report({
        ...report,
        name: 'heartbeat',
        status: 'terminating',
        deadlineMs: 120_000,
        reason: 'spot-termination',
      });
      for (const event of events) assert.deepEqual(checkInventoryEvent(event), { event }, JSON.stringify(event));
    }
  });

  test('stay where they were first placed', () => {
    const { writer: some, events } = writer();
    some.place(placement);
    some.place({ ...placement, instance: unknownInstance });
    some.report(report);
    assert.equal(events[0]?.source, '/eu-west-1/i-0123');
  });

  test("are a list of one with the seed's five names for whoever expects that", () => {
    const [event] = someEvents(1);
    assert.ok(event !== undefined);
    assert.deepEqual(JSON.parse(seedMessage(event)), [
      {
        public_hostname: 'ec2.example.org',
        public_port: 20_001,
        region: 'eu-west-1',
        status: 'starting',
        type: 'arena',
      },
    ]);
  });
});

test('Players connect to what a person said, else to the best that metadata or Kubernetes know', () => {
  const nodeAddress = '198.51.100.7';
  const order: [Parameters<typeof advertisedAddress>[0], string | undefined][] = [
    [{ advertise: 'play.example.org', instance, nodeAddress }, 'play.example.org'],
    [{ advertise: undefined, instance, nodeAddress }, 'ec2.example.org'],
    [{ advertise: undefined, instance: { ...instance, publicHostname: undefined }, nodeAddress }, '192.0.2.1'],
    [{ advertise: undefined, instance: { ...unknownInstance, localIpv4: '10.0.0.1' }, nodeAddress }, nodeAddress],
    [
      {
        advertise: undefined,
        instance: { ...unknownInstance, ipv6: '2001:db8::1', localIpv4: '10.0.0.1' },
        nodeAddress: undefined,
      },
      '2001:db8::1',
    ],
    [
      { advertise: undefined, instance: { ...unknownInstance, localIpv4: '10.0.0.1' }, nodeAddress: undefined },
      '10.0.0.1',
    ],
    [{ advertise: undefined, instance: unknownInstance, nodeAddress: undefined }, undefined],
  ];
  for (const [sources, expected] of order) assert.equal(advertisedAddress(sources), expected);
});

const published = (...ids: string[]) => ({ type: 'published', ids }) as const;

function link(): { inventory: LinkInventory; sent: string[]; isUp: (up: boolean) => void } {
  const sent: string[] = [];
  let up = true;
  const send = (message: WrapperMessage) => {
    if (up && message.type === 'event') sent.push(message.event.id);
    return up;
  };
  return {
    inventory: new LinkInventory({ send }),
    sent,
    isUp: (state) => {
      up = state;
    },
  };
}

suite('Events through the agent', () => {
  const forEver = new AbortController().signal;
  const [first, second] = someEvents(2) as [InventoryEvent, InventoryEvent];

  test('are settled when the agent has named each of them', async () => {
    const { inventory, sent } = link();
    const outcome = inventory.publish([first, second], forEver);
    inventory.settle(published(first.id));
    inventory.settle({ type: 'refused', events: [{ id: second.id, reason: 'too long' }] });
    assert.deepEqual(await outcome, { published: [first.id], refused: [{ id: second.id, reason: 'too long' }] });
    assert.deepEqual(sent, [first.id, second.id]);
  });

  test('are not sent twice over one link, and an answer that comes between two attempts counts', async () => {
    const { inventory, sent } = link();
    const limit = new AbortController();
    const attempt = inventory.publish([first], limit.signal);
    limit.abort(new Error('late'));
    await assert.rejects(attempt, /no answer in time/);
    inventory.settle(published(first.id));
    assert.deepEqual(await inventory.publish([first], forEver), { published: [first.id], refused: [] });
    assert.deepEqual(sent, [first.id]);
  });

  test('are sent again after the link broke', async () => {
    const { inventory, sent } = link();
    const attempt = inventory.publish([first], forEver);
    inventory.reset('the link broke');
    await assert.rejects(attempt, /the link broke/);
    const again = inventory.publish([first], forEver);
    inventory.settle(published(first.id));
    await again;
    assert.deepEqual(sent, [first.id, first.id]);
  });

  test('fail at once where there is no link', async () => {
    const { inventory, isUp } = link();
    isUp(false);
    await assert.rejects(inventory.publish([first], forEver), /no link/);
  });

  test('are not settled by what nobody asked for', async () => {
    const { inventory, sent } = link();
    inventory.settle(published(first.id, 'stranger'));
    const outcome = inventory.publish([first], forEver);
    inventory.settle(published(first.id));
    await outcome;
    assert.deepEqual(sent, [first.id]);
  });
});

suite('An event takes', () => {
  const forEver = new AbortController().signal;
  const named = (name: string) => ({ publish: async () => ({ published: [name], refused: [] }) });
  const route = async (routed: RoutedInventory) => (await routed.publish([], forEver)).published[0];

  const agentDecided = () => Promise.resolve();
  const mayAgentReturn = () => false;

  test('no way of our own while the agent may yet say that it publishes', async () => {
    const decided = Promise.withResolvers<void>();
    let agent: ReturnType<typeof named> | undefined;
    const alone = () => Promise.reject(new Error('the SDK was loaded'));
    const routed = new RoutedInventory({
      throughAgent: () => agent,
      mayAgentReturn,
      agentDecided: () => decided.promise,
      alone,
    });
    const published = route(routed);
    agent = named('agent');
    decided.resolve();
    assert.equal(await published, 'agent');
  });

  test('the way through the agent while it is there, and our own otherwise', async () => {
    let agent: ReturnType<typeof named> | undefined = named('agent');
    const routed = new RoutedInventory({
      throughAgent: () => agent,
      mayAgentReturn,
      agentDecided,
      alone: async () => named('alone'),
    });
    assert.equal(await route(routed), 'agent');
    agent = undefined;
    assert.equal(await route(routed), 'alone');
  });

  test('no way where there is neither, and the error says what is missing', async () => {
    const routed = new RoutedInventory({
      throughAgent: () => undefined,
      mayAgentReturn,
      agentDecided,
      alone: undefined,
    });
    assert.equal(routed.hasRoute(), false);
    await assert.rejects(route(routed), /no agent that publishes, and no --queue-url/);
  });

  test('a way yet where an agent is being replaced', () => {
    const gone = { throughAgent: () => undefined, agentDecided, alone: undefined };
    assert.equal(new RoutedInventory({ ...gone, mayAgentReturn: () => true }).hasRoute(), true);
  });
});

suite('The queue may have an event that it has not confirmed', () => {
  const [first] = someEvents(1) as [InventoryEvent];
  const forEver = new AbortController().signal;
  const failing = (...errors: Error[]) => {
    const agent: Inventory = {
      publish: async (events) => {
        const error = errors.shift();
        if (error !== undefined) throw error;
        return { published: events.map(({ id }) => id), refused: [] };
      },
    };
    const routes = { throughAgent: () => agent, mayAgentReturn: () => true, agentDecided: async () => {} };
    return new RoutedInventory({ ...routes, alone: undefined });
  };
  const answered = Object.assign(new Error('no such queue'), { $metadata: { httpStatusCode: 400 } });
  const refused = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });

  test('while its answer is out, and where none came', async () => {
    const routed = failing(new Error('the link broke'));
    const attempt = routed.publish([first], forEver);
    assert.ok(routed.mayHaveTaken(first.id));
    await assert.rejects(attempt);
    assert.ok(routed.mayHaveTaken(first.id));
    await routed.publish([first], forEver);
    assert.ok(!routed.mayHaveTaken(first.id));
  });

  test('not where it said no, or nothing was sent', async () => {
    const routed = failing(answered, refused, new NotSent('no link'));
    for (const _ of [1, 2, 3]) await assert.rejects(routed.publish([first], forEver));
    assert.ok(!routed.mayHaveTaken(first.id));
  });

  test('still where a later attempt failed for certain', async () => {
    const routed = failing(new Error('no answer in time'), answered);
    for (const _ of [1, 2]) await assert.rejects(routed.publish([first], forEver));
    assert.ok(routed.mayHaveTaken(first.id));
  });
});

suite('An interruption that the agent tells of', () => {
  const message = {
    type: 'interruption',
    id: 'i-1/spot-termination',
    kind: 'spot-termination',
    action: 'terminate',
    deadline: '1970-01-01T00:02:00.000Z',
    end_by: '1970-01-01T00:01:50.000Z',
  } as const;

  test('ends the game server by the time the agent names', () => {
    const cause = endCauseOf(message, 5000);
    assert.deepEqual([cause?.deadlineMs, cause?.endByMs, cause?.reason], [120_000, 110_000, 'spot-termination']);
  });

  test('ends it by its own margin where the agent names none', () => {
    assert.equal(endCauseOf({ ...message, end_by: null }, 5000)?.endByMs, 115_000);
  });

  test('never ends it after the deadline', () => {
    assert.equal(endCauseOf({ ...message, end_by: '1970-01-01T01:00:00.000Z' }, 5000)?.endByMs, 120_000);
  });

  test('is only a risk without a deadline', () => {
    assert.equal(endCauseOf({ ...message, deadline: null, end_by: null }, 5000), undefined);
  });
});
