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
  ['an action in capitals', `{"action":"TERMINATE","time":"${time}"}`, 'terminate'],
  ['a time without a zone', '{"action":"stop","time":"2026-04-24T17:11:44"}', 'stop'],
  ['a time with a space', '{"action":"stop","time":"2026-04-24 17:11:44Z"}', 'stop'],
  ['a time of another zone', '{"action":"stop","time":"2026-04-24T19:11:44+0200"}', 'stop'],
  ['epoch seconds', `{"action":"stop","time":${deadlineMs / 1000}}`, 'stop'],
  ['epoch milliseconds as a text', `{"action":"stop","time":"${deadlineMs}"}`, 'stop'],
  ['the time of a maintenance event', '{"action":"stop","time":"24 Apr 2026 17:11:44 GMT"}', 'stop'],
];

for (const [name, body, action] of notices)
  test(`a spot notice with ${name} is understood`, () => {
    assert.deepEqual(parseSpotNotice(body, instanceId), {
      notices: [{ id: `${instanceId}/spot-termination`, kind: 'spot-termination', action, deadlineMs }],
      remarks: [],
    });
  });

const halfRead: readonly (readonly [name: string, body: string, deadlineMs: number | undefined, remark: RegExp])[] = [
  ['no time', '{"action":"terminate"}', undefined, /^time is no instant: undefined/],
  ['a day that does not exist', '{"action":"stop","time":"2026-02-30T00:00:00Z"}', undefined, /^time is no instant/],
  ['a time that is nothing', '{"action":"stop","time":null}', undefined, /^time is no instant: null/],
  ['no action', `{"time":"${time}"}`, deadlineMs, /^unknown action undefined: terminate assumed/],
  ['a new action', `{"action":"relocate","time":"${time}"}`, deadlineMs, /^unknown action "relocate"/],
  ['an inherited name as action', `{"action":"constructor","time":"${time}"}`, deadlineMs, /"constructor"/],
  ['an action that is a list', `{"action":["stop"],"time":"${time}"}`, deadlineMs, /^unknown action \["stop"\]/],
];

for (const [name, body, expectedMs, remark] of halfRead)
  test(`a spot notice with ${name} is a notice all the same, and says what was assumed`, () => {
    const parsed = parseSpotNotice(body, instanceId);
    assert.ok('notices' in parsed);
    const [notice] = parsed.notices;
    assert.deepEqual([notice?.kind, notice?.deadlineMs], ['spot-termination', expectedMs]);
    assert.match(parsed.remarks.join(), remark);
  });

const garbage: readonly (readonly [name: string, body: string, reason: RegExp])[] = [
  ['an empty body', '', /^not JSON: ""$/],
  ['an error page', '<html><body>404</body></html>', /^not JSON: "<html>/],
  ['a cut body', `{"action":"terminate","ti`, /^not JSON/],
  ['null', 'null', /^not an object/],
  ['a number', '7', /^not an object/],
  ['a list', `[{"action":"terminate","time":"${time}"}]`, /^not an object/],
  ['an empty object', '{}', /^neither action nor time/],
  ['an error of a proxy', '{"error":"no route","status":200}', /^neither action nor time/],
  ['an action that only the prototype has', `{"__proto__":{"action":"stop"}}`, /^neither action nor time/],
  ['the word of another path', 'none', /^not JSON/],
];

for (const [name, body, reason] of garbage)
  test(`a spot notice that is ${name} is garbage, never an interruption`, () => {
    const parsed = parseSpotNotice(body, instanceId);
    assert.ok('garbage' in parsed);
    assert.match(parsed.garbage, reason);
  });

test('the identity of a notice holds neither our clock nor the announced time', () => {
  const [first, later] = ['17:11:44', '17:11:59']
    .map((at) => parseSpotNotice(`{"action":"terminate","time":"2026-04-24T${at}Z"}`, instanceId))
    .map((parsed) => ('notices' in parsed ? parsed.notices[0] : undefined));
  assert.ok(first !== undefined && later !== undefined);
  assert.equal(first.id, later.id);
  assert.notEqual(first.deadlineMs, later.deadlineMs);
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
      else {
        assert.equal(parsed.notices.length, 1);
        const { deadlineMs: atMs = 0 } = parsed.notices[0] ?? {};
        assert.ok(Number.isSafeInteger(atMs));
        for (const remark of parsed.remarks) assert.ok(remark.length < 200);
      }
    }),
  );
});
