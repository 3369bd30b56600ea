import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ContainerRecord, openRecord } from '../../../../sandbox/kubelet/pod/container-record.ts';
import type { Condition, Pod } from '../../../../sandbox/kubelet/pod/pod.ts';
import {
  describeStatus,
  formatTime,
  type PodFacts,
  patchStatus,
  readPhase,
} from '../../../../sandbox/kubelet/pod/pod-status.ts';
import { makeContainer, makePod } from './pods.ts';

const place = { nodeName: 'n1', address: '127.0.0.1' };
const now = Date.parse('2026-11-22T11:31:55.400Z');
const started = Date.parse('2026-11-22T11:31:52.900Z');

function record(state: ContainerRecord['now'], more: Partial<ContainerRecord> = {}): ContainerRecord {
  return { ...openRecord(makeContainer('game', { image: 'demo:2' }), undefined, 0), now: state, ...more };
}

function running(ready: boolean): ContainerRecord['now'] {
  return { state: 'running', id: 'c1', startedAtMs: started, ready, stopping: undefined, hook: 'none' };
}

function ended(exitCode: number): Extract<ContainerRecord['now'], { state: 'terminated' }> {
  const reason = exitCode === 0 ? 'Completed' : 'Error';
  return { state: 'terminated', id: 'c1', exitCode, reason, startedAtMs: started, finishedAtMs: now };
}

function facts(main: ContainerRecord[], more: Partial<PodFacts> = {}): PodFacts {
  const pod = more.pod ?? makePod();
  return { pod, init: [], main, finished: false, volumesReady: true, firstSeenMs: started, before: [], ...more };
}

/** Conditions as `Type=Status reason`. */
function conditions(given: PodFacts): string[] {
  const { conditions: described = [] } = describeStatus(given, place, now);
  return described.map(({ type, status, reason }) => `${type}=${status}${reason === undefined ? '' : ` ${reason}`}`);
}

test('the phase follows from the containers', () => {
  const waiting: ContainerRecord['now'] = { state: 'waiting', reason: 'ContainerCreating' };
  const looping: ContainerRecord['now'] = { state: 'waiting', reason: 'CrashLoopBackOff' };
  const cases: [string, Parameters<typeof readPhase>[0], string][] = [
    ['nothing has started', { init: [], main: [record(waiting)], finished: false }, 'Pending'],
    [
      'one of two has not started',
      { init: [], main: [record(running(true)), record(waiting)], finished: false },
      'Pending',
    ],
    ['all run', { init: [], main: [record(running(false))], finished: false }, 'Running'],
    ['between two lives', { init: [], main: [record(ended(1))], finished: false }, 'Running'],
    ['crash loop', { init: [], main: [record(looping, { last: ended(1) })], finished: false }, 'Running'],
    [
      'an init container crashes',
      { init: [record(looping, { last: ended(1) })], main: [record(waiting)], finished: false },
      'Pending',
    ],
    ['all ended well', { init: [], main: [record(ended(0))], finished: true }, 'Succeeded'],
    ['one ended badly', { init: [], main: [record(ended(0)), record(ended(3))], finished: true }, 'Failed'],
    [
      'an init container failed for good',
      { init: [record(ended(1))], main: [record(waiting)], finished: true },
      'Failed',
    ],
    ['deleted before it started', { init: [], main: [record(waiting)], finished: true }, 'Failed'],
    ['deleted in a crash loop', { init: [], main: [record(looping, { last: ended(1) })], finished: true }, 'Failed'],
  ];
  for (const [what, given, expected] of cases) assert.equal(readPhase(given), expected, what);
});

test('conditions over a life are those that a real kubelet was recorded with', () => {
  const waiting: ContainerRecord['now'] = { state: 'waiting', reason: 'ContainerCreating' };
  const cases: [string, PodFacts, string[]][] = [
    [
      'seen',
      facts([record(waiting)], { volumesReady: false }),
      [
        'PodReadyToStartContainers=False',
        'Initialized=True',
        'Ready=False ContainersNotReady',
        'ContainersReady=False ContainersNotReady',
      ],
    ],
    [
      'running, not ready',
      facts([record(running(false))]),
      [
        'PodReadyToStartContainers=True',
        'Initialized=True',
        'Ready=False ContainersNotReady',
        'ContainersReady=False ContainersNotReady',
      ],
    ],
    [
      'ready',
      facts([record(running(true))]),
      ['PodReadyToStartContainers=True', 'Initialized=True', 'Ready=True', 'ContainersReady=True'],
    ],
    [
      'exit 0',
      facts([record(ended(0))], { finished: true }),
      [
        'PodReadyToStartContainers=False',
        'Initialized=True PodCompleted',
        'Ready=False PodCompleted',
        'ContainersReady=False PodCompleted',
      ],
    ],
    [
      'killed',
      facts([record(ended(137))], { finished: true }),
      [
        'PodReadyToStartContainers=False',
        'Initialized=True',
        'Ready=False PodFailed',
        'ContainersReady=False PodFailed',
      ],
    ],
  ];
  for (const [what, given, expected] of cases)
    assert.deepEqual(conditions(given), [...expected, 'PodScheduled=True'], what);
});

test('an init container that has not ended keeps the pod uninitialised and is named', () => {
  const waiting: ContainerRecord['now'] = { state: 'waiting', reason: 'PodInitializing' };
  const given = facts([record(waiting)], { init: [record(running(false))] });
  const initialized = describeStatus(given, place, now).conditions?.find(({ type }) => type === 'Initialized');
  assert.equal(initialized?.message, 'containers with incomplete status: [game]');
  assert.equal(initialized?.reason, 'ContainersNotInitialized');
});

test('Ready waits for every readiness gate, and says for which', () => {
  const gated = (status?: Condition['status']): Pod => ({
    ...makePod({}, { readinessGates: [{ conditionType: 'x/y' }] }),
    status: { conditions: status === undefined ? [] : [{ type: 'x/y', status }] },
  });
  const read = (pod: Pod): Condition | undefined =>
    describeStatus(facts([record(running(true))], { pod }), place, now).conditions?.find(
      ({ type }) => type === 'Ready',
    );
  assert.equal(read(gated())?.message, 'corresponding condition of pod readiness gate "x/y" does not exist.');
  assert.equal(read(gated('False'))?.message, 'the status of pod readiness gate "x/y" is not "True", but False');
  assert.equal(read(gated('False'))?.reason, 'ReadinessGatesNotReady');
  assert.equal(read(gated('True'))?.status, 'True');
});

test('a transition time stays while the status does', () => {
  const before: Condition[] = [
    { type: 'Ready', status: 'True', lastTransitionTime: '2026-11-22T11:00:00Z' },
    { type: 'ContainersReady', status: 'False', lastTransitionTime: '2026-11-22T11:00:00Z' },
  ];
  const { conditions: described = [] } = describeStatus(facts([record(running(true))], { before }), place, now);
  const time = (wanted: string): string | undefined =>
    described.find(({ type }) => type === wanted)?.lastTransitionTime;
  assert.equal(time('Ready'), '2026-11-22T11:00:00Z');
  assert.equal(time('ContainersReady'), '2026-11-22T11:31:55Z');
});

test('a killed container says exit code 137, reason Error, and both times', () => {
  const [status] =
    describeStatus(facts([record(ended(137), { restartCount: 2, last: ended(1) })]), place, now).containerStatuses ??
    [];
  const terminated = (exitCode: number): object => ({
    terminated: {
      exitCode,
      reason: 'Error',
      startedAt: '2026-11-22T11:31:52Z',
      finishedAt: '2026-11-22T11:31:55Z',
      containerID: 'process://c1',
    },
  });
  assert.deepEqual(status, {
    name: 'game',
    state: terminated(137),
    lastState: terminated(1),
    ready: false,
    started: false,
    restartCount: 2,
    image: 'demo:2',
    imageID: '',
    containerID: 'process://c1',
  });
});

test('a container that could not be started has the epoch as its start', () => {
  const failed: ContainerRecord['now'] = { ...ended(128), reason: 'StartError', startedAtMs: undefined };
  const [status] = describeStatus(facts([record(failed)]), place, now).containerStatuses ?? [];
  assert.equal(status?.state.terminated?.startedAt, '1970-01-01T00:00:00Z');
});

test('addresses, start and observed generation are there', () => {
  const status = describeStatus(facts([record(running(true))], { pod: makePod({ generation: 2 }) }), place, now);
  assert.deepEqual(
    [status.hostIP, status.podIP, status.startTime, status.observedGeneration],
    ['127.0.0.1', '127.0.0.1', '2026-11-22T11:31:52Z', 2],
  );
});

test('a patch names the uid, and takes away a reason that is no longer said but never adds an empty one', () => {
  const wanted = { conditions: [{ type: 'Ready', status: 'True' }] satisfies Condition[] };
  const known: Condition[] = [{ type: 'Ready', status: 'False', reason: 'ContainersNotReady', message: 'm' }];
  assert.deepEqual(patchStatus('u-1', wanted, known), {
    metadata: { uid: 'u-1' },
    status: { conditions: [{ reason: null, message: null, type: 'Ready', status: 'True' }] },
  });
  assert.deepEqual(patchStatus('u-1', wanted, []), {
    metadata: { uid: 'u-1' },
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  });
});

test('times are whole seconds, cut and not rounded', () => {
  assert.equal(formatTime(Date.parse('2026-11-22T11:31:52.999Z')), '2026-11-22T11:31:52Z');
});
