import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { eventNotices, spotNotices } from '../../../agent/interruption/ec2/ec2-notices.ts';
import { placeOfProviderId } from '../../../agent/interruption/ec2/ec2-place.ts';
import { parseLifecycleState } from '../../../agent/interruption/notices/parse-lifecycle-state.ts';
import { parseMaintenance } from '../../../agent/interruption/notices/parse-maintenance.ts';
import { parseRebalance } from '../../../agent/interruption/notices/parse-rebalance.ts';
import { parseSpotNotice } from '../../../shared/interruption/parse-spot-notice.ts';
import { noon } from './agent-values.ts';

const event = {
  NotBefore: '21 Jan 2026 09:00:43 GMT',
  NotAfter: '21 Jan 2026 11:00:43 GMT',
  Code: 'system-reboot',
  Description: 'scheduled reboot',
  EventId: 'instance-event-0d59937288b749b32',
  State: 'active',
};
const notBeforeMs = Date.parse('2026-01-21T09:00:43Z');

describe('a rebalance recommendation', () => {
  const body = '{"noticeTime":"2026-04-24T12:00:00Z"}';
  const context = { instanceId: 'i-1', ttlMs: 60_000, nowMs: noon, firstSeenMs: noon };
  const notice = { id: 'i-1/rebalance', kind: 'rebalance', action: 'none', deadlineMs: undefined };

  test('is a notice without an instant, named after the instance alone', () => {
    assert.deepEqual(parseRebalance(body, { ...context, nowMs: noon + 59_999 }), { notices: [notice], remarks: [] });
  });

  test('runs out after its time to live, counted from when EC2 gave it', () => {
    assert.deepEqual(parseRebalance(body, { ...context, nowMs: noon + 60_000 }), { notices: [], remarks: [] });
  });

  for (const time of ['5', '"yesterday"', 'null', '"2027-04-24T12:00:00Z"'])
    test(`whose time is ${time} counts from when it was first seen, and says so`, () => {
      const undated = `{"noticeTime":${time}}`;
      const parsed = parseRebalance(undated, { ...context, nowMs: noon + 59_999 });
      assert.ok('notices' in parsed);
      assert.deepEqual(parsed.notices, [notice]);
      assert.match(parsed.remarks.join(), /^noticeTime is no instant of the past/);
      const later = parseRebalance(undated, { ...context, nowMs: noon + 60_000 });
      assert.deepEqual('notices' in later && later.notices, []);
    });

  for (const garbage of ['', '[]', 'null', '{}', '{"error":"no route"}', '<html>'])
    test(`is garbage, and no absence, where the body is ${JSON.stringify(garbage)}`, () => {
      assert.ok('garbage' in parseRebalance(garbage, context));
    });
});

describe('scheduled maintenance', () => {
  const codes = [
    ['instance-reboot', 'reboot'],
    ['system-reboot', 'reboot'],
    ['system-maintenance', 'none'],
    ['instance-retirement', 'terminate'],
    ['instance-stop', 'stop'],
  ] as const;
  for (const [code, action] of codes)
    test(`${code} means ${action}, under the identity that EC2 gave it`, () => {
      assert.deepEqual(parseMaintenance(JSON.stringify([{ ...event, Code: code }]), 0), {
        notices: [{ id: event.EventId, kind: 'maintenance', action, deadlineMs: notBeforeMs }],
        remarks: [],
      });
    });

  test('needs no NotAfter', () => {
    const { NotAfter: _, ...open } = event;
    assert.deepEqual(parseMaintenance(JSON.stringify([open]), 0), parseMaintenance(JSON.stringify([event]), 0));
  });

  test('is nothing where the list is empty', () => {
    assert.deepEqual(parseMaintenance('[]', 0), { notices: [], remarks: [] });
  });

  for (const State of ['completed', 'canceled'])
    test(`that is ${State} is nothing any more`, () => {
      assert.deepEqual(parseMaintenance(JSON.stringify([{ ...event, State }]), 0), { notices: [], remarks: [] });
    });

  test('a reboot that lies before the boot was done, though EC2 still lists it as active', () => {
    const parsed = parseMaintenance(JSON.stringify([event]), notBeforeMs + 60_000);
    assert.deepEqual(parsed, { notices: [], remarks: [] });
  });

  test('a stop that lies before the boot is still to come: it moves with its event', () => {
    const parsed = parseMaintenance(JSON.stringify([{ ...event, Code: 'instance-stop' }]), notBeforeMs + 60_000);
    assert.ok('notices' in parsed && parsed.notices.length === 1);
  });

  const retirement = { ...event, Code: 'instance-retirement', EventId: 'e-2' };
  const wrong = [
    [5, /EventId|State/],
    [{}, /State/],
    [null, /State/],
    [{ ...event, State: 'odd' }, /unknown State "odd"/],
    [{ ...event, Code: 'instance-party' }, /unknown Code "instance-party"/],
    [{ ...event, Code: 'constructor' }, /unknown Code "constructor"/],
    [{ ...event, NotBefore: '2026-01-21' }, /NotBefore is no instant: "2026-01-21"/],
    [{ ...event, EventId: '' }, /EventId is no name/],
  ] as const;
  for (const [item, reason] of wrong)
    test(`of which one is ${JSON.stringify(item)} says so, and hides no other`, () => {
      for (const list of [
        [item, retirement],
        [retirement, item],
      ]) {
        const parsed = parseMaintenance(JSON.stringify(list), 0);
        assert.ok('notices' in parsed);
        assert.deepEqual(
          parsed.notices.map(({ id, action }) => [id, action]),
          [['e-2', 'terminate']],
        );
        assert.equal(parsed.remarks.length, 1);
        assert.match(parsed.remarks[0] ?? '', reason);
      }
    });

  for (const body of ['{}', '', '<html>', '{"error":"no route"}'])
    test(`is garbage where the body is ${JSON.stringify(body)}`, () => {
      assert.ok('garbage' in parseMaintenance(body, 0));
    });
});

describe('the target lifecycle state', () => {
  const table: readonly (readonly [string, string | undefined])[] = [
    ['InService', undefined],
    ['Standby', undefined],
    ['Detached', undefined],
    ['Warmed:Running', undefined],
    ['Terminated', 'terminate'],
    ['Warmed:Terminated', 'terminate'],
    ['Warmed:Stopped', 'stop'],
    ['Warmed:Hibernated', 'stop'],
  ];
  for (const [state, action] of table)
    test(`${state} announces ${action ?? 'nothing'}`, () => {
      const parsed = parseLifecycleState(`${state}\n`, 'i-1');
      const notice = { id: 'i-1/asg-termination', kind: 'asg-termination', action, deadlineMs: undefined };
      assert.deepEqual(parsed, { notices: action === undefined ? [] : [notice], remarks: [] });
    });

  test('that is new announces a termination only where it speaks of one, and says so', () => {
    for (const [state, notices] of [
      ['constructor', 0],
      ['Rotating', 0],
      ['Terminating', 1],
      ['Warmed:Terminating', 1],
    ] as const) {
      const parsed = parseLifecycleState(state, 'i-1');
      assert.ok('notices' in parsed);
      assert.equal(parsed.notices.length, notices);
      assert.match(parsed.remarks.join(), /^unknown lifecycle state/);
    }
  });

  for (const body of ['', '<html></html>', 'a b', 'x'.repeat(100)])
    test(`is garbage where the body is ${JSON.stringify(body.slice(0, 20))}`, () => {
      assert.ok('garbage' in parseLifecycleState(body, 'i-1'));
    });
});

describe('EC2', () => {
  test('announces a marked spot request as the metadata service would, two minutes after the mark', () => {
    const requests = [
      { Status: { Code: 'marked-for-termination', UpdateTime: new Date(noon) } },
      { Status: { Code: 'fulfilled', UpdateTime: new Date(noon) } },
      { Status: undefined },
    ];
    assert.deepEqual(spotNotices(requests, 'i-1'), {
      notices: [
        { id: 'i-1/spot-termination', kind: 'spot-termination', action: 'terminate', deadlineMs: noon + 120_000 },
      ],
      remarks: [],
    });
  });

  test('announces a request that is marked in a new way, or without a time', () => {
    const requests = [
      { Status: { Code: 'marked-for-stop-by-experiment', UpdateTime: new Date(noon) } },
      { Status: { Code: 'marked-for-relocation' } },
    ];
    const { notices, remarks } = spotNotices(requests, 'i-1');
    assert.deepEqual(
      notices.map(({ action, deadlineMs }) => [action, deadlineMs]),
      [
        ['stop', noon + 120_000],
        ['terminate', undefined],
      ],
    );
    assert.match(remarks.join(), /"marked-for-relocation" has no time/);
  });

  test('announces scheduled events by their id, without those that are over', () => {
    const open = { InstanceEventId: 'e-1', Code: 'instance-stop', Description: 'stop', NotBefore: new Date(noon) };
    const over = ['[Completed] stop', '[Canceled] stop'].map((Description) => ({ ...open, Description }));
    const done = { ...open, Code: 'system-reboot' };
    const party = { ...open, InstanceEventId: 'e-2', Code: 'instance-party' };
    const { notices, remarks } = eventNotices([party, open, ...over, done, {}], noon + 1);
    assert.deepEqual(notices, [{ id: 'e-1', kind: 'maintenance', action: 'stop', deadlineMs: noon }]);
    assert.equal(remarks.length, 2);
    assert.match(remarks[0] ?? '', /^event "e-2" left out: Code "instance-party"/);
  });

  const providers = [
    ['aws:///eu-west-1a/i-0123456789abcdef0', { region: 'eu-west-1', instanceId: 'i-0123456789abcdef0' }],
    ['aws:///us-west-2-lax-1a/i-0abc', { region: 'us-west-2', instanceId: 'i-0abc' }],
    ['aws:///us-gov-west-1b/i-0abc', { region: 'us-gov-west-1', instanceId: 'i-0abc' }],
    ['gce://project/zone/name', undefined],
    [undefined, undefined],
  ] as const;
  for (const [providerId, place] of providers)
    test(`${providerId} is ${JSON.stringify(place)}`, () => {
      assert.deepEqual(placeOfProviderId(providerId), place);
    });
});

/** As amazon-ec2-metadata-mock 1.13 writes them: with tabs, and with days of one digit. */
test("the documents of AWS's own mock are understood without a remark", () => {
  const maintenanceBody = `[
\t{
\t\t"Code": "system-reboot",
\t\t"Description": "The instance is scheduled for system-reboot",
\t\t"State": "active",
\t\t"EventId": "instance-event-1234567890abcdef0",
\t\t"NotBefore": "8 Nov 2026 04:08:02 GMT",
\t\t"NotAfter": "5 Dec 2026 04:08:02 GMT",
\t\t"NotBeforeDeadline": "7 Dec 2026 04:08:02 GMT"
\t}
]`;
  const rebalanceBody = '{\n\t"noticeTime": "2026-04-24T12:00:00Z"\n}';
  const spotBody = '{\n\t"action": "terminate",\n\t"time": "2026-11-28T04:10:03Z"\n}';
  const context = { instanceId: 'i-1', ttlMs: 60_000, nowMs: noon, firstSeenMs: noon };
  const all = [
    parseMaintenance(maintenanceBody, 0),
    parseRebalance(rebalanceBody, context),
    parseSpotNotice(spotBody, 'i-1'),
    parseLifecycleState('Terminated', 'i-1'),
  ];
  for (const parsed of all) assert.deepEqual('notices' in parsed && [parsed.notices.length, parsed.remarks], [1, []]);
  const [maintained] = all;
  const deadlineMs = Date.parse('2026-11-08T04:08:02Z');
  assert.ok(maintained !== undefined && 'notices' in maintained && maintained.notices[0]?.deadlineMs === deadlineMs);
});

/** Documents of the metadata service of which any part may be anything. */
const odd = fc.oneof(fc.jsonValue(), fc.constantFrom('active', 'canceled', 'system-reboot', event.NotBefore, 'e-1'));
const oddEvent = fc.record({ EventId: odd, Code: odd, State: odd, NotBefore: odd }, { requiredKeys: [] });
const oddBody = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.json(),
  fc.array(fc.oneof(odd, oddEvent), { maxLength: 10 }).map((list) => JSON.stringify(list)),
  fc.record({ noticeTime: odd }).map((fields) => JSON.stringify(fields)),
);

test('no body makes a parser throw, and what it says of one is short', () => {
  const context = { instanceId: 'i-1', ttlMs: 1000, nowMs: noon, firstSeenMs: noon };
  fc.assert(
    fc.property(oddBody, (body) => {
      const all = [parseRebalance(body, context), parseMaintenance(body, 0), parseLifecycleState(body, 'i-1')];
      for (const parsed of all)
        for (const said of 'garbage' in parsed ? [parsed.garbage] : parsed.remarks) assert.ok(said.length < 400);
    }),
  );
});

test('whatever stands beside it in the list, an event that makes sense is found', () => {
  const good = { ...event, EventId: 'the-good-one', Code: 'instance-stop' };
  fc.assert(
    fc.property(fc.array(fc.oneof(odd, oddEvent), { maxLength: 8 }), fc.nat(8), (others, at) => {
      const parsed = parseMaintenance(JSON.stringify(others.toSpliced(at, 0, good)), 0);
      assert.ok('notices' in parsed && parsed.notices.some(({ id }) => id === 'the-good-one'));
    }),
  );
});
