import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { V1Pod } from '@kubernetes/client-node';
import { type GameServerPod, readGameServerPod } from '../../../agent/game-servers/game-server-pod.ts';
import { reportPatch } from '../../../agent/game-servers/pod-report.ts';
import { sessionMessageOf } from '../../../agent/game-servers/session-message.ts';
import type { HelloMessage, StateMessage } from '../../../shared/link/link-message.ts';

const nowMs = Date.parse('2026-01-01T12:00:00.500Z');
const hello: HelloMessage = {
  type: 'hello',
  version: 1,
  game_server_id: 'gs-1',
  ports: { SERVER_PORT: { port: 20_001, protocol: 'udp' } },
};
const ready: StateMessage = { type: 'state', state: 'ready' };
const bare: GameServerPod = {
  resourceVersion: '1',
  allocation: 'unallocated',
  sessionId: undefined,
  labels: {},
  annotations: {},
  hasGate: true,
  ready: undefined,
};
const said = {
  'spotable.dev/game-server-id': 'gs-1',
  'spotable.dev/port.SERVER_PORT': '20001/udp',
};
const condition = (status: string, reason: string) => ({
  conditions: [{ type: 'spotable.dev/ready', status, reason, lastTransitionTime: '2026-01-01T12:00:00Z' }],
});

describe('what a pod is made to say', () => {
  test('that its game is up, and where', () => {
    const state: StateMessage = {
      ...ready,
      players: 3,
      address: 'a.example.com',
      session_taken: '',
      counters: { rooms: '1/10' },
      lists: { players: { capacity: 2, values: ['a'] } },
    };
    assert.deepEqual(reportPatch(bare, { hello, state }, nowMs), {
      metadata: {
        annotations: {
          ...said,
          'spotable.dev/address': 'a.example.com',
          'spotable.dev/players': '3',
          'spotable.dev/session-taken': '',
          'spotable.dev/counter.rooms': '1/10',
          'spotable.dev/list.players': '{"capacity":2,"values":["a"]}',
        },
      },
      status: condition('True', 'GameReady'),
    });
  });

  const saidPod = { ...bare, annotations: { ...said, other: 'x' }, ready: 'True' };
  const cases: readonly (readonly [string, GameServerPod, StateMessage | undefined | 'gone', object | undefined])[] = [
    ['nothing where it says so already', saidPod, ready, undefined],
    ['that it is ending', saidPod, { ...ready, state: 'terminating' }, { status: condition('False', 'GameEnding') }],
    ['nothing anew with a session', saidPod, { ...ready, state: 'allocated' }, undefined],
    ['that its wrapper is gone', saidPod, 'gone', { status: condition('False', 'WrapperLost') }],
    [
      'that it is starting',
      { ...saidPod, ready: undefined },
      undefined,
      { status: condition('False', 'GameStarting') },
    ],
    [
      'nothing of a start that nobody waits for',
      { ...saidPod, ready: undefined, hasGate: false },
      undefined,
      undefined,
    ],
    [
      'only the players',
      saidPod,
      { ...ready, players: 1 },
      { metadata: { annotations: { 'spotable.dev/players': '1' } } },
    ],
    [
      'no more what is said no more',
      { ...saidPod, annotations: { ...said, 'spotable.dev/counter.rooms': '1/2' } },
      ready,
      { metadata: { annotations: { 'spotable.dev/counter.rooms': null } } },
    ],
  ];
  for (const [what, pod, state, expected] of cases)
    test(what, () =>
      assert.deepEqual(reportPatch(pod, state === 'gone' ? undefined : { hello, state }, nowMs), expected),
    );
});

describe('what a wrapper hears of its pod', () => {
  const read = (metadata: object, spec: object = {}) => readGameServerPod({ metadata, spec } as V1Pod);

  test('its session, its labels and its annotations, but not what it said itself', () => {
    const pod = read(
      {
        labels: { 'spotable.dev/allocation': 'allocated', mode: 'dm' },
        annotations: {
          'spotable.dev/session-id': 'match-1',
          map: 'garden22',
          'spotable.dev/address': 'x',
          'spotable.dev/port.A': '1/udp',
          'kubectl.kubernetes.io/last-applied-configuration': '{}',
        },
      },
      { readinessGates: [{ conditionType: 'spotable.dev/ready' }] },
    );
    assert.deepEqual(pod && sessionMessageOf(pod, 'gs-1'), {
      type: 'session',
      session_id: 'match-1',
      labels: { 'spotable.dev/allocation': 'allocated', mode: 'dm' },
      annotations: { map: 'garden22', 'spotable.dev/session-id': 'match-1' },
      ends_if_new: true,
      spent: false,
    });
  });

  test('that another game of its pod had the session, which is then not ready either', () => {
    const annotations = {
      'spotable.dev/session-id': 'match-1',
      'spotable.dev/session-taken': 'match-1',
      'spotable.dev/game-server-id': 'gs-0',
    };
    const pod = read({ labels: { 'spotable.dev/allocation': 'allocated' }, annotations });
    assert.ok(pod !== undefined);
    assert.equal(sessionMessageOf(pod, 'gs-1')?.spent, true);
    assert.equal(sessionMessageOf(pod, 'gs-0')?.spent, false);
    assert.deepEqual(reportPatch({ ...pod, ready: 'True' }, { hello, state: ready }, nowMs), {
      status: condition('False', 'Spent'),
    });
  });

  test('that it has none', () => {
    const pod = read({ labels: { 'spotable.dev/allocation': 'unallocated' } });
    assert.equal(pod && sessionMessageOf(pod, 'gs-1')?.session_id, null);
    assert.equal(pod && sessionMessageOf(pod, 'gs-1')?.ends_if_new, false);
  });

  test('nothing where no fleet has it; other pods are no game servers', () => {
    const pod = read({ labels: { 'spotable.dev/game-server': 'true' } });
    assert.ok(pod !== undefined);
    assert.equal(sessionMessageOf(pod, 'gs-1'), undefined);
    assert.equal(read({ labels: { app: 'web' } }), undefined);
  });

  test('no more than fits into a line', () => {
    const annotations = { small: 'x', large: '"'.repeat(40_000) };
    const pod = read({ labels: { 'spotable.dev/allocation': 'allocated' }, annotations });
    const message = pod && sessionMessageOf(pod, 'gs-1');
    assert.deepEqual(Object.keys(message?.annotations ?? {}), ['small']);
    assert.ok(JSON.stringify(message).length < 65_536);
  });
});
