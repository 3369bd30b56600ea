import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { eventNotices, spotNotices } from '../../../agent/interruption/ec2/ec2-notices.ts';
import { placeOfProviderId } from '../../../agent/interruption/ec2/ec2-place.ts';
import { parseLifecycleState } from '../../../agent/interruption/notices/parse-lifecycle-state.ts';
import { parseMaintenance } from '../../../agent/interruption/notices/parse-maintenance.ts';
import { parseRebalance } from '../../../agent/interruption/notices/parse-rebalance.ts';
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

  test('is a notice without an instant, named after the instance alone', () => {
    assert.deepEqual(parseRebalance(body, 'i-1', 60_000, noon + 59_999), {
      notices: [{ id: 'i-1/rebalance', kind: 'rebalance', action: 'none', deadlineMs: undefined }],
    });
  });

  test('runs out after its time to live, counted from when EC2 gave it', () => {
    assert.deepEqual(parseRebalance(body, 'i-1', 60_000, noon + 60_000), { notices: [] });
  });

  for (const garbage of ['', '[]', 'null', '{}', '{"noticeTime":5}', '{"noticeTime":"yesterday"}', '<html>'])
    test(`is garbage, and no absence, where the body is ${JSON.stringify(garbage)}`, () => {
      assert.ok('garbage' in parseRebalance(garbage, 'i-1', 60_000, noon));
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
      });
    });

  test('needs no NotAfter', () => {
    const { NotAfter: _, ...open } = event;
    assert.deepEqual(parseMaintenance(JSON.stringify([open]), 0), parseMaintenance(JSON.stringify([event]), 0));
  });

  test('is nothing where the list is empty', () => {
    assert.deepEqual(parseMaintenance('[]', 0), { notices: [] });
  });

  for (const State of ['completed', 'canceled'])
    test(`that is ${State} is nothing any more`, () => {
      assert.deepEqual(parseMaintenance(JSON.stringify([{ ...event, State }]), 0), { notices: [] });
    });

  test('a reboot that lies before the boot was done, though EC2 still lists it as active', () => {
    assert.deepEqual(parseMaintenance(JSON.stringify([event]), notBeforeMs + 60_000), { notices: [] });
  });

  test('a stop that lies before the boot is still to come: it moves with its event', () => {
    const parsed = parseMaintenance(JSON.stringify([{ ...event, Code: 'instance-stop' }]), notBeforeMs + 60_000);
    assert.ok('notices' in parsed && parsed.notices.length === 1);
  });

  const wrong = [
    '{}',
    '[5]',
    '[{}]',
    JSON.stringify([{ ...event, State: 'odd' }]),
    JSON.stringify([{ ...event, Code: 'instance-party' }]),
    JSON.stringify([{ ...event, Code: 'constructor' }]),
    JSON.stringify([{ ...event, NotBefore: '2026-01-21' }]),
    JSON.stringify([{ ...event, EventId: '' }]),
  ];
  for (const body of wrong)
    test(`is garbage where the body is ${body}`, () => {
      assert.ok('garbage' in parseMaintenance(body, 0));
    });
});

describe('the target lifecycle state', () => {
  const table: readonly (readonly [string, string | undefined])[] = [
    ['InService', undefined],
    ['Standby', undefined],
    ['Detached', undefined],
    ['Warmed:Running', undefined],
    ['constructor', undefined],
    ['Terminated', 'terminate'],
    ['Warmed:Terminated', 'terminate'],
    ['Warmed:Stopped', 'stop'],
    ['Warmed:Hibernated', 'stop'],
  ];
  for (const [state, action] of table)
    test(`${state} announces ${action ?? 'nothing'}`, () => {
      const parsed = parseLifecycleState(`${state}\n`, 'i-1');
      const notice = { id: 'i-1/asg-termination', kind: 'asg-termination', action, deadlineMs: undefined };
      assert.deepEqual(parsed, { notices: action === undefined ? [] : [notice] });
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
    assert.deepEqual(spotNotices(requests, 'i-1'), [
      { id: 'i-1/spot-termination', kind: 'spot-termination', action: 'terminate', deadlineMs: noon + 120_000 },
    ]);
  });

  test('announces scheduled events by their id, without those that are over', () => {
    const open = { InstanceEventId: 'e-1', Code: 'instance-stop', Description: 'stop', NotBefore: new Date(noon) };
    const over = ['[Completed] stop', '[Canceled] stop'].map((Description) => ({ ...open, Description }));
    const done = { ...open, Code: 'system-reboot' };
    assert.deepEqual(eventNotices([open, ...over, done, {}], noon + 1), [
      { id: 'e-1', kind: 'maintenance', action: 'stop', deadlineMs: noon },
    ]);
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

test('no body makes a parser throw', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (body) => {
      parseRebalance(body, 'i-1', 1000, noon);
      parseMaintenance(body, 0);
      parseLifecycleState(body, 'i-1');
    }),
  );
});
