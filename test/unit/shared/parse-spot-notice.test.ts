import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSpotNotice } from '../../../shared/interruption/parse-spot-notice.ts';

const instanceId = 'i-0123456789abcdef0';
const deadlineMs = Date.UTC(2026, 3, 24, 17, 11, 44);
const time = '2026-04-24T17:11:44Z';

const notices: readonly (readonly [name: string, body: string, action: string])[] = [
  ['terminate', `{"action":"terminate","time":"${time}"}`, 'terminate'],
  ['stop', `{"action":"stop","time":"${time}"}`, 'stop'],
  ['hibernate', `{"action":"hibernate","time":"${time}"}`, 'hibernate'],
  ['a trailing newline', `{"action":"terminate","time":"${time}"}\r\n`, 'terminate'],
  ['a byte order mark', `\ufeff{"action":"terminate","time":"${time}"}`, 'terminate'],
  ['white space and another order', ` {\n "time": "${time}",\n "action": "stop" }`, 'stop'],
  ['fields of a later version', `{"action":"stop","time":"${time}","reason":{"code":1}}`, 'stop'],
  ['names that objects inherit', `{"__proto__":{"action":"x"},"action":"stop","time":"${time}"}`, 'stop'],
];

for (const [name, body, action] of notices)
  test(`a spot notice with ${name} is understood`, () => {
    assert.deepEqual(parseSpotNotice(body, instanceId), {
      notice: { id: `${instanceId}/spot-termination`, kind: 'spot-termination', action, deadlineMs },
    });
  });

const garbage: readonly (readonly [name: string, body: string, reason: RegExp])[] = [
  ['an empty body', '', /^not JSON: ""$/],
  ['an error page', '<html><body>404</body></html>', /^not JSON: "<html>/],
  ['a cut body', `{"action":"terminate","ti`, /^not JSON/],
  ['null', 'null', /^not an object/],
  ['a number', '7', /^not an object/],
  ['a list', `[{"action":"terminate","time":"${time}"}]`, /^unknown action undefined$/],
  ['an empty object', '{}', /^unknown action undefined$/],
  ['an action in capitals', `{"action":"TERMINATE","time":"${time}"}`, /^unknown action "TERMINATE"$/],
  ['an unknown action', `{"action":"explode","time":"${time}"}`, /^unknown action "explode"$/],
  ['an action that is a list', `{"action":["terminate"],"time":"${time}"}`, /^unknown action \["terminate"\]$/],
  ['an inherited name as action', `{"action":"constructor","time":"${time}"}`, /^unknown action "constructor"$/],
  ['an action that only the prototype has', `{"__proto__":{"action":"stop","time":"${time}"}}`, /^unknown action/],
  ['no time', '{"action":"terminate"}', /^time is no instant: undefined$/],
  ['a time in seconds', '{"action":"terminate","time":1777050704}', /^time is no instant: 1777050704$/],
  ['a day that does not exist', '{"action":"terminate","time":"2026-02-30T00:00:00Z"}', /^time is no instant/],
];

for (const [name, body, reason] of garbage)
  test(`a spot notice that is ${name} is garbage, never an interruption`, () => {
    const parsed = parseSpotNotice(body, instanceId);
    assert.ok('garbage' in parsed);
    assert.match(parsed.garbage, reason);
  });

test('the identity of a notice holds neither our clock nor the announced time', () => {
  const [first, later] = ['17:11:44', '17:11:59'].map((at) =>
    parseSpotNotice(`{"action":"terminate","time":"2026-04-24T${at}Z"}`, instanceId),
  );
  assert.ok(first !== undefined && 'notice' in first && later !== undefined && 'notice' in later);
  assert.equal(first.notice.id, later.notice.id);
  assert.notEqual(first.notice.deadlineMs, later.notice.deadlineMs);
});

test('no body makes the parser throw, and what it says of garbage is short', () => {
  const almost = fc
    .record({ action: fc.anything(), time: fc.anything() }, { requiredKeys: [] })
    .map(
      (value) => JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part)) ?? '',
    );
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 1000 }), fc.json(), almost), (body) => {
      const parsed = parseSpotNotice(body, instanceId);
      if ('garbage' in parsed) assert.ok(parsed.garbage.length < 200);
      else assert.ok(Number.isSafeInteger(parsed.notice.deadlineMs));
    }),
  );
});
