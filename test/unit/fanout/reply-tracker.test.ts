import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  catchUp,
  countReply,
  countSend,
  isOneForOne,
  newReplyTracker,
  planSwitchover,
  type ReplyTracker,
} from '../../../fanout/relay/reply-tracker.ts';

function lockstep(outstanding: number): ReplyTracker {
  const tracker = newReplyTracker();
  for (let turn = 0; turn < 20; turn++) {
    countSend(tracker);
    countReply(tracker);
  }
  for (let extra = 0; extra < outstanding; extra++) countSend(tracker);
  return tracker;
}

test('twenty answers to twenty datagrams are one for one', () => assert.equal(isOneForOne(lockstep(0)), true));

test('one unsolicited reply does not end it, because games announce that they close', () => {
  const tracker = lockstep(0);
  countReply(tracker);
  assert.equal(isOneForOne(tracker), true);
  assert.equal(tracker.outstanding, 0);
});

test('several unsolicited replies end it, however long it lasted', () => {
  const tracker = lockstep(0);
  for (let turn = 0; turn < 10_000; turn++) {
    countSend(tracker);
    countReply(tracker);
  }
  for (let reply = 0; reply < 6; reply++) countReply(tracker);
  assert.equal(isOneForOne(tracker), false);
});

test('a replica that answers everything twice is never one for one', () => {
  const tracker = newReplyTracker();
  for (let turn = 0; turn < 1000; turn++) {
    countSend(tracker);
    for (let reply = 0; reply < 2; reply++) countReply(tracker);
    assert.equal(isOneForOne(tracker), false);
  }
});

test('a replica that answers every third datagram is never one for one', () => {
  const tracker = newReplyTracker();
  for (let turn = 0; turn < 1000; turn++) {
    for (let send = 0; send < 3; send++) countSend(tracker);
    countReply(tracker);
    assert.equal(isOneForOne(tracker), false);
  }
});

for (const [name, from, to, waits, cut] of [
  ['equal positions need nothing', lockstep(1), lockstep(1), true, { skip: 0, tail: 0 }],
  [
    'a new primary that is behind repeats what the old one has said',
    lockstep(0),
    lockstep(2),
    true,
    { skip: 2, tail: 0 },
  ],
  ['a new primary that is ahead waits for the old one', lockstep(3), lockstep(1), true, { skip: 0, tail: 2 }],
  ['nothing is awaited of a dead primary', lockstep(3), lockstep(1), false, { skip: 0, tail: 0 }],
  ['a dead primary has still said what it said', lockstep(0), lockstep(2), false, { skip: 2, tail: 0 }],
  ['without one for one there is no position', newReplyTracker(), lockstep(2), true, { skip: 0, tail: 0 }],
  ['without a primary before there is none either', undefined, lockstep(2), true, { skip: 0, tail: 0 }],
] as const)
  test(name, () => assert.deepEqual(planSwitchover(from, to, waits), cut));

test("the kernel's count gives the position of a muted replica", () => {
  const tracker = lockstep(1);
  catchUp(tracker, 500, 499);
  assert.equal(tracker.outstanding, 2);
  assert.equal(isOneForOne(tracker), true);
});

test('an implausible count gives no position', () => {
  for (const [sends, replies] of [
    [10, 500],
    [500, 10],
  ] as const) {
    const tracker = lockstep(1);
    catchUp(tracker, sends, replies);
    assert.equal(isOneForOne(tracker), false);
  }
});

test('a lost datagram does not stay outstanding forever', () => {
  const tracker = lockstep(20);
  for (let turn = 0; turn < 200; turn++) {
    countSend(tracker);
    countReply(tracker);
  }
  assert.ok(tracker.outstanding <= 4, `${tracker.outstanding} outstanding`);
  assert.equal(isOneForOne(tracker), true);
});
