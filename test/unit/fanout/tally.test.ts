import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  catchUp,
  countReply,
  countSend,
  isOneForOne,
  newTally,
  planCut,
  type Tally,
} from '../../../fanout/relay/tally.ts';

function lockstep(owed: number): Tally {
  const tally = newTally();
  for (let turn = 0; turn < 20; turn++) {
    countSend(tally);
    countReply(tally);
  }
  for (let extra = 0; extra < owed; extra++) countSend(tally);
  return tally;
}

test('twenty answers to twenty datagrams are one for one', () => assert.equal(isOneForOne(lockstep(0)), true));

test('a reply that nobody asked for does not end it, because games say that they close', () => {
  const tally = lockstep(0);
  countReply(tally);
  assert.equal(isOneForOne(tally), true);
  assert.equal(tally.owed, 0);
});

test('several replies that nobody asked for end it, however long it was so', () => {
  const tally = lockstep(0);
  for (let turn = 0; turn < 10_000; turn++) {
    countSend(tally);
    countReply(tally);
  }
  for (let reply = 0; reply < 6; reply++) countReply(tally);
  assert.equal(isOneForOne(tally), false);
});

test('a replica that answers everything twice is never one for one', () => {
  const tally = newTally();
  for (let turn = 0; turn < 1000; turn++) {
    countSend(tally);
    for (let reply = 0; reply < 2; reply++) countReply(tally);
    assert.equal(isOneForOne(tally), false);
  }
});

test('a replica that answers every third datagram is never one for one', () => {
  const tally = newTally();
  for (let turn = 0; turn < 1000; turn++) {
    for (let send = 0; send < 3; send++) countSend(tally);
    countReply(tally);
    assert.equal(isOneForOne(tally), false);
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
  ['without one for one there is no position', newTally(), lockstep(2), true, { skip: 0, tail: 0 }],
  ['without a primary before there is none either', undefined, lockstep(2), true, { skip: 0, tail: 0 }],
] as const)
  test(name, () => assert.deepEqual(planCut(from, to, waits), cut));

test('what the kernel has counted of a deaf replica gives its position', () => {
  const tally = lockstep(1);
  catchUp(tally, 500, 499);
  assert.equal(tally.owed, 2);
  assert.equal(isOneForOne(tally), true);
});

test('counts that cannot be true give none', () => {
  for (const [sends, replies] of [
    [10, 500],
    [500, 10],
  ] as const) {
    const tally = lockstep(1);
    catchUp(tally, sends, replies);
    assert.equal(isOneForOne(tally), false);
  }
});

test('a datagram that was lost is not owed for ever', () => {
  const tally = lockstep(20);
  for (let turn = 0; turn < 200; turn++) {
    countSend(tally);
    countReply(tally);
  }
  assert.ok(tally.owed <= 4, `${tally.owed} owed`);
  assert.equal(isOneForOne(tally), true);
});
