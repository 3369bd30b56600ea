import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readDemoEvent } from '../../../../sandbox/demo/demo-event.ts';

const time = '2026-04-24T17:11:44.000Z';
const atMs = Date.parse(time);
const logLine = (name: string, fields: object, pod = 'gs-1') =>
  JSON.stringify({
    time,
    event: 'log',
    pod,
    stream: 'stderr',
    line: JSON.stringify({ level: 30, time: atMs + 5, name, ...fields }),
  });

const cases: ReadonlyArray<readonly [string, string, unknown]> = [
  [
    'the end of a pod',
    JSON.stringify({ time, event: 'pod-gone', pod: 'gs-1' }),
    { kind: 'pod-gone', atMs, pod: 'gs-1' },
  ],
  [
    'what a game prints',
    JSON.stringify({ time, event: 'log', pod: 'gs-1', stream: 'stdout', line: 'listening' }),
    { kind: 'game-said', atMs, pod: 'gs-1', line: 'listening' },
  ],
  [
    'the agent seeing the notice',
    logLine('agent', { msg: 'Interruption noticed' }),
    { kind: 'notice-seen', atMs: atMs + 5, node: 'n' },
  ],
  [
    'an eviction',
    logLine('agent', { msg: 'Pod termination requested', pod: 'arena/gs-1', how: 'evicted', gracePeriodSeconds: 24 }),
    { kind: 'pod-asked', atMs: atMs + 5, pod: 'gs-1', how: 'evicted', graceSeconds: 24 },
  ],
  [
    'a game being told',
    logLine('wrapper', { msg: 'Game told', how: 'signal:SIGTERM', first: true }),
    { kind: 'game-told', atMs: atMs + 5, pod: 'gs-1', how: 'signal:SIGTERM' },
  ],
  ['a game being told again', logLine('wrapper', { msg: 'Game told', how: 'x', first: false }), undefined],
  ['a kubelet event without a pod', JSON.stringify({ time, event: 'node-registered', node: 'n' }), undefined],
  ['something that is no JSON', 'Segmentation fault', undefined],
];

for (const [what, line, expected] of cases)
  test(`${what} is ${expected === undefined ? 'no part' : 'part'} of the story`, () =>
    assert.deepEqual(readDemoEvent(line, 'n'), expected));

test('no line of a kubelet, however odd, breaks the story', () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (line) => void readDemoEvent(line, 'n')));
});
