import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { type GameServerEvent, gameServerEvent, type InventoryEvent, nodeEvent } from '../../../shared/events/event.ts';
import eventSchema from '../../../shared/events/event-schema.json' with { type: 'json' };
import { checkInventoryEvent, maxEventCharacters, parseInventoryEvent } from '../../../shared/events/parse-event.ts';
import { gameServerEvents, inventoryEvents } from './inventory-arbitraries.ts';

const ajv = new Ajv2020({ strict: false });
addFormats.default(ajv);
const isValid = ajv.compile(eventSchema);

const parserTakes = (value: unknown): boolean => 'event' in checkInventoryEvent(value);

/** What an event can be spoilt with: each sits at the edge of some rule. */
const spoilers = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    undefined,
    '',
    0,
    -1,
    1.5,
    65_535,
    65_536,
    2 ** 53 - 1,
    2 ** 53,
    true,
    [],
    {},
    [{}],
    'x'.repeat(64),
    'x'.repeat(257),
    '🎮'.repeat(64),
    '🎮'.repeat(130),
    '🎮'.repeat(256),
    '2026-04-24T17:11:44Z',
    '2026-04-24T17:11:44.123456789+02:00',
    '2026-13-24T17:11:44Z',
    '2026-04-24t17:11:44z',
    '2026-04-24T24:00:00Z',
    '2026-04-24',
    'starting',
    'terminated',
    'interrupted',
    'spot-termination',
    'Spot termination',
    '1.0',
    'application/json',
    { SERVER_PORT: { port: 1, protocol: 'sctp' } },
    { 'a b': { port: 1, protocol: 'udp' } },
    { SERVER_PORT: { port: 1, protocol: 'udp', host_ip: 'extra' } },
    { SERVER_PORT: { port: 0, protocol: 'udp' } },
    { '': 'x' },
    { mode: 7 },
    Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`k${index}`, 'v'])),
    'dev.spotable.gameserver.heartbeat.v1',
    'dev.spotable.gameserver.lost.v1',
    'dev.spotable.node.drained.v1',
    'dev.spotable.gameserver.ready.v2',
  ),
  fc.jsonValue(),
);

function spoil(event: InventoryEvent, place: string, spoiler: unknown): unknown {
  const copy = structuredClone(event) as unknown as Record<string, Record<string, unknown>>;
  const inData = place.startsWith('data.');
  const fields = inData ? copy['data'] : copy;
  const field = inData ? place.slice('data.'.length) : place;
  // JSON has no undefined: a field is there or not.
  if (typeof fields !== 'object' || fields === null) return copy;
  if (spoiler === undefined) delete fields[field];
  else (fields as Record<string, unknown>)[field] = spoiler;
  return copy;
}

const places = (event: InventoryEvent): string[] => [
  ...Object.keys(event),
  ...Object.keys(event.data).map((field) => `data.${field}`),
];

test('every event that the code can make is taken by the parser and by the schema', () => {
  fc.assert(
    fc.property(inventoryEvents, (event) => {
      const parsed = parseInventoryEvent(JSON.stringify(event));
      assert.deepEqual('event' in parsed ? parsed.event : parsed, JSON.parse(JSON.stringify(event)));
      assert.ok(isValid(event), ajv.errorsText(isValid.errors));
    }),
    { numRuns: 500 },
  );
});

test('the parser and the schema agree on events that are spoilt in one or two places', () => {
  const spoilt = inventoryEvents.chain((event) =>
    fc
      .array(fc.tuple(fc.constantFrom(...places(event)), spoilers), { minLength: 1, maxLength: 2 })
      .map((spots) =>
        spots.reduce<unknown>((value, [place, with_]) => spoil(value as InventoryEvent, place, with_), event),
      ),
  );
  let refused = 0;
  fc.assert(
    fc.property(spoilt, (value) => {
      const isTaken = parserTakes(value);
      if (!isTaken) refused++;
      assert.equal(
        isTaken,
        isValid(value),
        `${JSON.stringify(checkInventoryEvent(value))}, ${JSON.stringify(isValid.errors)}`,
      );
    }),
    { numRuns: 5000 },
  );
  assert.ok(refused > 1000 && refused < 5000, `${refused} of 5000 were refused`);
});

test('the parser and the schema agree on what is no event at all', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => parserTakes(value) === isValid(value)));
});

const good = fc.sample(gameServerEvents, { seed: 7, numRuns: 1 })[0] as GameServerEvent;
const ready = {
  ...good,
  type: 'dev.spotable.gameserver.ready.v1',
  data: { ...good.data, status: 'ready' as const, lease_expires_at: '2026-04-24T17:11:44Z' },
};

const refusals: readonly (readonly [name: string, text: string, code: string, reason: RegExp])[] = [
  ['text that is no JSON', 'hello', 'not-json', /^event: expected JSON, found "hello"$/],
  ['an empty body', '', 'not-json', /found ""$/],
  ['a list, as the seed sends it', '[{}]', 'wrong-shape', /^event: expected a JSON object, found \[\{\}\]$/],
  ['null', 'null', 'wrong-shape', /found null$/],
  [
    'a body of a megabyte',
    JSON.stringify('x'.repeat(2 ** 20)),
    'too-long',
    /^event: 1048578 characters, expected at most 65536$/,
  ],
  ['an event without a type', '{}', 'wrong-shape', /^type: expected .* found nothing$/],
  ['a type of somebody else', '{"type":"com.example.ping"}', 'unknown-type', /found "com.example.ping"$/],
  ['a state that does not exist', '{"type":"dev.spotable.gameserver.sleeping.v1"}', 'unknown-type', /sleeping/],
  ['an inherited name as type', '{"type":"constructor"}', 'unknown-type', /constructor/],
  ['a future version', '{"type":"dev.spotable.gameserver.ready.v2"}', 'newer-version', /expected version 1/],
  [
    'a wrong spec version',
    JSON.stringify({ ...ready, specversion: '0.3' }),
    'wrong-shape',
    /^specversion: expected 1.0, found "0.3"$/,
  ],
  [
    'a port that is a text',
    JSON.stringify({ ...ready, data: { ...ready.data, public_port: '80' } }),
    'wrong-shape',
    /^data.public_port: expected a whole number from 1 to 65535, or null, found "80"$/,
  ],
  [
    'a status that its type does not have',
    JSON.stringify({ ...ready, data: { ...ready.data, status: 'allocated' } }),
    'wrong-shape',
    /^data.status: expected ready, found "allocated"$/,
  ],
  [
    'a living server without a lease',
    JSON.stringify({ ...ready, data: { ...ready.data, lease_expires_at: null } }),
    'wrong-shape',
    /^data.lease_expires_at/,
  ],
  [
    'data that is missing',
    JSON.stringify({ ...ready, data: undefined }),
    'wrong-shape',
    /^data: expected a JSON object, found nothing$/,
  ],
];

for (const [name, text, code, reason] of refusals)
  test(`${name} is refused as ${code}, and the reason says what and where`, () => {
    const parsed = parseInventoryEvent(text);
    assert.ok('refused' in parsed);
    assert.equal(parsed.code, code);
    assert.match(parsed.refused, reason);
  });

test('a node event that names neither node nor instance is refused', () => {
  const data = { region: null, zone: null, node: null, instance_id: null, instance_type: null, lifecycle: null };
  const event = nodeEvent(
    {
      ...data,
      status: 'interrupted',
      interruption_id: 'x',
      kind: 'rebalance',
      action: 'none',
      deadline: null,
      sequence: 1,
    },
    0,
  );
  assert.deepEqual(checkInventoryEvent(event), {
    code: 'wrong-shape',
    refused: 'data: expected a node or an instance_id, found neither',
  });
  assert.ok(!isValid(event));
});

test('a kind of interruption that this version does not know is taken, because the deadline matters more', () => {
  const placed = { region: null, zone: null, node: 'n1', instance_id: null, instance_type: null, lifecycle: null };
  const event = nodeEvent(
    {
      ...placed,
      status: 'interrupted',
      interruption_id: 'x',
      kind: 'rebalance',
      action: 'none',
      deadline: null,
      sequence: 1,
    },
    0,
  );
  assert.ok(parserTakes({ ...event, data: { ...event.data, kind: 'solar-flare' } }));
});

test('fields of a later version are kept and do no harm', () => {
  const newer = { ...ready, traceparent: '00-0af7', data: { ...ready.data, map: 'de_dust2' } };
  const parsed = parseInventoryEvent(JSON.stringify(newer));
  assert.ok('event' in parsed);
  assert.deepEqual(parsed.event, JSON.parse(JSON.stringify(newer)));
});

test('a reason is one bounded line without control or direction characters, whatever the sender wrote', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 100 }),
      fc.string({ unit: 'binary', maxLength: 100 }),
      (type, port) => {
        for (const value of [
          type,
          { type },
          { ...ready, data: { ...ready.data, public_hostname: { [port]: port } } },
        ]) {
          const parsed = checkInventoryEvent(value);
          assert.ok('refused' in parsed);
          assert.ok(parsed.refused.length < 400);
          assert.doesNotMatch(parsed.refused, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        }
      },
    ),
  );
});

test('an event of the longest size is taken and one character more is not', () => {
  const event = gameServerEvent('ready', { ...ready.data, labels: {} }, 0);
  const pad = (length: number): string => {
    const text = JSON.stringify({ ...event, padding: '' });
    return JSON.stringify({ ...event, padding: 'x'.repeat(length - text.length) });
  };
  assert.ok('event' in parseInventoryEvent(pad(maxEventCharacters)));
  assert.ok('refused' in parseInventoryEvent(pad(maxEventCharacters + 1)));
});
