import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  isNoticeKind,
  isoSeconds,
  maintenanceTime,
  type NoticeKind,
  parseNotice,
} from '../../../sandbox/metadata/notices.ts';

const event = {
  NotBefore: '21 Jan 2026 09:00:43 GMT',
  NotAfter: '21 Jan 2026 09:17:23 GMT',
  NotBeforeDeadline: '28 Jan 2026 09:00:43 GMT',
  Code: 'instance-stop',
  Description: 'The instance is running on degraded hardware',
  EventId: 'instance-event-0d59937288b749b32',
  State: 'active',
};
const instant = fc.integer({ min: 0, max: Date.UTC(9999, 11, 31) });

describe('times', () => {
  it('are written as EC2 writes them', () => {
    const atMs = Date.UTC(2026, 3, 4, 7, 1, 4, 999);
    assert.equal(isoSeconds(atMs), '2026-04-04T07:01:04Z');
    assert.equal(maintenanceTime(atMs), '04 Apr 2026 07:01:04 GMT');
  });

  it('of any instant make a notice that is taken', () => {
    fc.assert(
      fc.property(instant, (atMs) => {
        assert.equal(Date.parse(isoSeconds(atMs)), atMs - (atMs % 1_000));
        parseNotice.rebalance({ noticeTime: isoSeconds(atMs) });
        parseNotice.maintenance([{ ...event, NotBefore: maintenanceTime(atMs) }]);
      }),
    );
  });
});

describe('parseNotice', () => {
  const good: [kind: NoticeKind, document: unknown][] = [
    ['spot', { action: 'terminate', time: '2026-04-24T17:11:44Z' }],
    ['spot', { action: 'stop', time: '2026-04-24T17:11:44Z' }],
    ['spot', { action: 'hibernate', time: '2026-04-24T17:11:44Z' }],
    ['rebalance', { noticeTime: '2026-07-16T19:18:24Z' }],
    ['maintenance', []],
    ['maintenance', [event, { ...event, State: 'completed', Code: 'instance-retirement' }]],
    ['asg', { state: 'InService' }],
    ['asg', { state: 'Warmed:Stopped' }],
  ];
  for (const [kind, document] of good) {
    it(`takes the ${kind} notice ${JSON.stringify(document).slice(0, 60)} as it is`, () => {
      assert.deepEqual(parseNotice[kind](document), document);
    });
  }

  it('takes a maintenance event without the fields that can be missing', () => {
    const { NotAfter: _, NotBeforeDeadline: __, ...rest } = event;
    assert.deepEqual(parseNotice.maintenance([rest]), [rest]);
  });

  const bad: [kind: NoticeKind, field: string, document: unknown][] = [
    ['spot', 'spot', null],
    ['spot', 'spot.action', { time: '2026-04-24T17:11:44Z' }],
    ['spot', 'spot.action', { action: 'explode', time: '2026-04-24T17:11:44Z' }],
    ['spot', 'spot.time', { action: 'stop' }],
    ['spot', 'spot.time', { action: 'stop', time: 'soon' }],
    ['spot', 'spot.time', { action: 'stop', time: '2026-04-24T17:11:44.123Z' }],
    ['spot', 'spot.time', { action: 'stop', time: '2026-04-31T17:11:44Z' }],
    ['rebalance', 'rebalance.noticeTime', {}],
    ['maintenance', 'maintenance', {}],
    ['maintenance', 'maintenance', Array(101).fill(event)],
    ['maintenance', 'maintenance[1].Code', [event, { ...event, Code: 'coffee' }]],
    ['maintenance', 'maintenance[0].NotBefore', [{ ...event, NotBefore: '2026-01-21T09:00:43Z' }]],
    ['maintenance', 'maintenance[0].NotBefore', [{ ...event, NotBefore: '31 Feb 2026 09:00:43 GMT' }]],
    ['maintenance', 'maintenance[0].NotAfter', [{ ...event, NotAfter: '21 Foo 2026 09:00:43 GMT' }]],
    ['maintenance', 'maintenance[0].NotBeforeDeadline', [{ ...event, NotBeforeDeadline: 7 }]],
    ['maintenance', 'maintenance[0].EventId', [{ ...event, EventId: 7 }]],
    ['maintenance', 'maintenance[0].Description', [{ ...event, Description: 'x'.repeat(1_001) }]],
    ['maintenance', 'maintenance[0].State', [{ ...event, State: 'done' }]],
    ['asg', 'asg.state', { state: 'Leaving' }],
  ];
  for (const [kind, field, document] of bad) {
    it(`names ${field} in what is wrong with ${JSON.stringify(document).slice(0, 60)}`, () => {
      assert.throws(
        () => parseNotice[kind](document),
        (error) => error instanceof TypeError && error.message.startsWith(`Bad notice: ${field} must be`),
      );
    });
  }

  it('knows its kinds, and no name that every object has', () => {
    assert.equal(isNoticeKind('maintenance'), true);
    assert.equal(isNoticeKind('constructor'), false);
  });
});
