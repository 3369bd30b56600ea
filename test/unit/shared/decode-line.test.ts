import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeAgentLine, decodeWrapperLine } from '../../../shared/link/decode-line.ts';
import { encodeLine, interruptionMessage, type WrapperMessage } from '../../../shared/link/link-message.ts';
import { unknownInstance } from '../../../shared/metadata/instance.ts';
import { gameServerEvents } from './inventory-arbitraries.ts';

const hello = { type: 'hello', version: 1, game_server_id: 'gs-1', ports: {} };
const interruption = { type: 'interruption', id: 'i', kind: 'rebalance', action: 'none', deadline: null, end_by: null };
const deadline = '2026-04-24T17:11:44Z';

const wrapperMessages: readonly (readonly [name: string, line: object, message: object])[] = [
  ['a hello', hello, hello],
  ['a hello without ports', { type: 'hello', version: 1, game_server_id: 'gs-1' }, hello],
  [
    'a hello with all it may say',
    {
      ...hello,
      namespace: 'arena',
      pod: 'gs-1',
      pod_uid: 'u',
      pid: 1,
      token: 't',
      ports: { P: { port: 1, protocol: 'udp+tcp' } },
    },
    {
      ...hello,
      namespace: 'arena',
      pod: 'gs-1',
      pod_uid: 'u',
      pid: 1,
      token: 't',
      ports: { P: { port: 1, protocol: 'udp+tcp' } },
    },
  ],
  ['a hello of a later version', { ...hello, version: 2, mood: 'good' }, { ...hello, version: 2 }],
  ['a state', { type: 'state', state: 'ready', since: 7 }, { type: 'state', state: 'ready' }],
  [
    'a state with players',
    { type: 'state', state: 'allocated', players: 0 },
    { type: 'state', state: 'allocated', players: 0 },
  ],
  ['an event as it came', { type: 'event', event: { any: 1 } }, { type: 'event', event: { any: 1 } }],
];

for (const [name, line, message] of wrapperMessages)
  test(`${name} from a wrapper is understood`, () => {
    assert.deepEqual(decodeWrapperLine(JSON.stringify(line)), { kind: 'message', message });
  });

const agentMessages: readonly (readonly [name: string, line: object, message: object])[] = [
  [
    'a welcome',
    { type: 'welcome', version: 1, publishes: true },
    { type: 'welcome', version: 1, publishes: true, node: null },
  ],
  [
    'a welcome with an instance',
    {
      type: 'welcome',
      version: 1,
      publishes: false,
      node: 'n',
      instance: { region: 'eu-west-1', zone: 7, extra: 'x' },
    },
    { type: 'welcome', version: 1, publishes: false, node: 'n', instance: { ...unknownInstance, region: 'eu-west-1' } },
  ],
  ['a risk', interruption, interruption],
  [
    'a risk without its empty fields',
    { type: 'interruption', id: 'i', kind: 'rebalance', action: 'none' },
    interruption,
  ],
  [
    'an interruption',
    { ...interruption, kind: 'spot-termination', action: 'hibernate', deadline, end_by: deadline },
    { ...interruption, kind: 'spot-termination', action: 'hibernate', deadline, end_by: deadline },
  ],
  [
    'an interruption of a kind that only a newer agent knows',
    { ...interruption, kind: 'solar-flare', action: 'melt', deadline },
    { ...interruption, kind: 'maintenance', action: 'terminate', deadline },
  ],
  [
    'a risk of a kind that only a newer agent knows',
    { ...interruption, kind: '__proto__', action: 'constructor' },
    interruption,
  ],
  ['a sign of life', { type: 'alive', next_ms: 10_000 }, { type: 'alive', next_ms: 10_000 }],
  ['a cancellation', { type: 'cancelled', id: 'i', why: 'x' }, { type: 'cancelled', id: 'i' }],
  ['an acknowledgement', { type: 'published', ids: ['a', 'b'] }, { type: 'published', ids: ['a', 'b'] }],
  [
    'a refusal',
    { type: 'refused', events: [{ id: 'a', reason: 'b' }] },
    { type: 'refused', events: [{ id: 'a', reason: 'b' }] },
  ],
  ['an error', { type: 'error', message: 'm' }, { type: 'error', message: 'm' }],
];

for (const [name, line, message] of agentMessages)
  test(`${name} from the agent is understood`, () => {
    assert.deepEqual(decodeAgentLine(JSON.stringify(line)), { kind: 'message', message });
  });

const wrapperGarbage: readonly (readonly [name: string, line: string, reason: string])[] = [
  ['nothing', '', 'not JSON'],
  ['a request of another protocol', 'GET / HTTP/1.1', 'not JSON'],
  ['a text', '"hello"', 'not a JSON object'],
  ['null', 'null', 'not a JSON object'],
  ['a list', `[${JSON.stringify(hello)}]`, 'not a JSON object'],
  ['an object without a type', '{}', 'type is not a string'],
  ['a type that is a list', '{"type":["hello"]}', 'type is not a string'],
  ['a type that only the prototype has', '{"__proto__":{"type":"hello"}}', 'type is not a string'],
  ['a hello without a version', '{"type":"hello"}', 'hello: version is not a version'],
  ['a version that is a text', JSON.stringify({ ...hello, version: '1' }), 'hello: version is not a version'],
  ['a version of one and a half', JSON.stringify({ ...hello, version: 1.5 }), 'hello: version is not a version'],
  ['an infinite version', '{"type":"hello","version":1e999}', 'hello: version is not a version'],
  ['an id with a space', JSON.stringify({ ...hello, game_server_id: 'a b' }), 'hello: game_server_id is not a name'],
  [
    'an id that is too long',
    JSON.stringify({ ...hello, game_server_id: 'x'.repeat(129) }),
    'hello: game_server_id is not a name',
  ],
  [
    'ports that are a list',
    JSON.stringify({ ...hello, ports: [] }),
    'hello: ports is not an object of {port, protocol}',
  ],
  [
    'ports that are null',
    JSON.stringify({ ...hello, ports: null }),
    'hello: ports is not an object of {port, protocol}',
  ],
  [
    'a port that is a number',
    JSON.stringify({ ...hello, ports: { P: 7 } }),
    'hello: ports is not an object of {port, protocol}',
  ],
  [
    'a port beyond 65535',
    JSON.stringify({ ...hello, ports: { P: { port: 65_536, protocol: 'udp' } } }),
    'hello: ports is not an object of {port, protocol}',
  ],
  [
    'a protocol that does not exist',
    JSON.stringify({ ...hello, ports: { P: { port: 1, protocol: 'sctp' } } }),
    'hello: ports is not an object of {port, protocol}',
  ],
  ['a namespace that is a number', JSON.stringify({ ...hello, namespace: 7 }), 'hello: namespace is not a string'],
  ['a token that is null', JSON.stringify({ ...hello, token: null }), 'hello: token is not a string'],
  ['the process id of everybody', JSON.stringify({ ...hello, pid: -1 }), 'hello: pid is not a process id'],
  ['the process id of the own group', JSON.stringify({ ...hello, pid: 0 }), 'hello: pid is not a process id'],
  ['a process id that is a text', JSON.stringify({ ...hello, pid: '1' }), 'hello: pid is not a process id'],
  ['a state that does not exist', '{"type":"state","state":"asleep"}', 'state: state is not one of the inventory'],
  ['players that are a text', '{"type":"state","state":"ready","players":"7"}', 'state: players is not a count'],
  ['infinitely many players', '{"type":"state","state":"ready","players":1e999}', 'state: players is not a count'],
  ['fewer players than none', '{"type":"state","state":"ready","players":-1}', 'state: players is not a count'],
  ['an event that is a text', '{"type":"event","event":"x"}', 'event: event is not an object'],
  ['no event', '{"type":"event"}', 'event: event is not an object'],
];

for (const [name, line, reason] of wrapperGarbage)
  test(`${name} is garbage from a wrapper`, () => {
    assert.deepEqual(decodeWrapperLine(line), { kind: 'garbage', reason });
  });

const agentGarbage: readonly (readonly [name: string, line: object, reason: string])[] = [
  ['a welcome without a version', { type: 'welcome', publishes: true }, 'welcome: version is not a version'],
  [
    'a welcome that does not say whether it publishes',
    { type: 'welcome', version: 1 },
    'welcome: publishes is not a boolean',
  ],
  ['an interruption without an id', { ...interruption, id: 7 }, 'interruption: id, kind or action is not a string'],
  ['an interruption of no kind', { ...interruption, kind: null }, 'interruption: id, kind or action is not a string'],
  ['a deadline in seconds', { ...interruption, deadline: 1_777_050_704 }, 'interruption: deadline is not an instant'],
  [
    'a deadline that no calendar has',
    { ...interruption, deadline: '2026-02-30T00:00:00Z' },
    'interruption: deadline is not an instant',
  ],
  ['an end that is no instant', { ...interruption, end_by: 'soon' }, 'interruption: end_by is not an instant'],
  ['a sign of life for ever', { type: 'alive', next_ms: 1e12 }, 'alive: next_ms is not a time'],
  ['a sign of life for no time', { type: 'alive', next_ms: 0 }, 'alive: next_ms is not a time'],
  ['a cancellation of nothing', { type: 'cancelled' }, 'cancelled: id is not a string'],
  ['acknowledged numbers', { type: 'published', ids: [1] }, 'published: ids is not a list of strings'],
  ['an acknowledged text', { type: 'published', ids: 'a' }, 'published: ids is not a list of strings'],
  [
    'a refusal without a reason',
    { type: 'refused', events: [{ id: 'a' }] },
    'refused: events is not a list of {id, reason}',
  ],
  ['a refusal of null', { type: 'refused', events: [null] }, 'refused: events is not a list of {id, reason}'],
  ['an error without a message', { type: 'error' }, 'error: message is not a string'],
];

for (const [name, line, reason] of agentGarbage)
  test(`${name} is garbage from the agent`, () => {
    assert.deepEqual(decodeAgentLine(JSON.stringify(line)), { kind: 'garbage', reason });
  });

for (const type of ['ping', 'constructor', '__proto__', 'toString', 'hasOwnProperty', ''])
  test(`a message of the unknown type ${JSON.stringify(type)} is unknown, not garbage`, () => {
    assert.deepEqual(decodeWrapperLine(JSON.stringify({ type })), { kind: 'unknown', type });
    assert.deepEqual(decodeAgentLine(JSON.stringify({ type })), { kind: 'unknown', type });
  });

test('each side knows only what the other one says', () => {
  assert.equal(decodeAgentLine(JSON.stringify(hello)).kind, 'unknown');
  assert.equal(decodeWrapperLine(JSON.stringify(interruption)).kind, 'unknown');
});

test('an unknown type is told in at most 64 characters', () => {
  assert.deepEqual(decodeWrapperLine(JSON.stringify({ type: 'x'.repeat(1000) })), {
    kind: 'unknown',
    type: 'x'.repeat(64),
  });
});

test('a port named like what objects inherit is a port like others', () => {
  const line = '{"type":"hello","version":1,"game_server_id":"gs","ports":{"__proto__":{"port":1,"protocol":"udp"}}}';
  const decoded = decodeWrapperLine(line);
  assert.ok(decoded.kind === 'message' && decoded.message.type === 'hello');
  assert.deepEqual(Object.keys(decoded.message.ports), ['__proto__']);
});

test('what one side encodes the other one reads', () => {
  fc.assert(
    fc.property(gameServerEvents, (event) => {
      const sent: WrapperMessage = { type: 'event', event };
      const line = encodeLine(sent);
      assert.ok(line.endsWith('\n') && !line.slice(0, -1).includes('\n'));
      assert.deepEqual(decodeWrapperLine(line), { kind: 'message', message: JSON.parse(JSON.stringify(sent)) });
    }),
  );
});

test('an interruption goes over the link as RFC 3339, and a risk without an instant', () => {
  const known = { id: 'i', kind: 'spot-termination', action: 'terminate', firstSeenMs: 0 } as const;
  const message = interruptionMessage({ ...known, deadlineMs: 120_000 }, 115_000);
  assert.deepEqual(message, {
    type: 'interruption',
    id: 'i',
    kind: 'spot-termination',
    action: 'terminate',
    deadline: '1970-01-01T00:02:00.000Z',
    end_by: '1970-01-01T00:01:55.000Z',
  });
  assert.deepEqual(decodeAgentLine(encodeLine(message)), { kind: 'message', message });
  const risk = interruptionMessage({ ...known, deadlineMs: undefined }, undefined);
  assert.deepEqual([risk.deadline, risk.end_by], [null, null]);
});

test('no line makes a decoder throw, and whatever is a message has its type', () => {
  const types = [
    'hello',
    'state',
    'event',
    'welcome',
    'alive',
    'interruption',
    'cancelled',
    'published',
    'refused',
    'error',
  ];
  const fields = [
    'version',
    'next_ms',
    'game_server_id',
    'ports',
    'pid',
    'state',
    'players',
    'event',
    'id',
    'kind',
    'action',
    'deadline',
    'ids',
    'events',
    'publishes',
    'instance',
    'message',
  ];
  const value = fc.oneof(fc.jsonValue(), fc.constantFrom<unknown>(1, 'gs', {}, [], deadline, 'ready', true));
  const messages = fc
    .tuple(fc.constantFrom(...types), fc.dictionary(fc.constantFrom(...fields), value))
    .map(([type, rest]) => JSON.stringify({ ...rest, type }));
  const lines = fc.oneof(fc.string({ unit: 'binary' }), fc.json(), messages);
  fc.assert(
    fc.property(lines, (line) => {
      for (const decode of [decodeWrapperLine, decodeAgentLine]) {
        const decoded = decode(line);
        if (decoded.kind === 'message') assert.equal(decoded.message.type, JSON.parse(line).type);
        else if (decoded.kind === 'garbage') assert.ok(decoded.reason.length < 200);
      }
    }),
    { numRuns: 1000 },
  );
});
