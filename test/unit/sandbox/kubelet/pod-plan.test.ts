import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ContainerRecord, growBackoff, openRecord } from '../../../../sandbox/kubelet/pod/container-record.ts';
import { type PodView, planPod } from '../../../../sandbox/kubelet/pod/pod-plan.ts';
import { makeContainer } from './pods.ts';

const now = 1_000_000;
const limits = { baseMs: 10_000, maxMs: 300_000 };

function record(name: string, state?: ContainerRecord['now'], more: Partial<ContainerRecord> = {}): ContainerRecord {
  const fresh = openRecord(makeContainer(name), undefined, 0);
  return { ...fresh, now: state ?? fresh.now, ...more };
}

const running: ContainerRecord['now'] = {
  state: 'running',
  id: 'r',
  startedAtMs: 0,
  ready: true,
  stopping: undefined,
  hook: 'none',
};

function ended(exitCode: number, finishedAtMs: number = now): Extract<ContainerRecord['now'], { state: 'terminated' }> {
  return {
    state: 'terminated',
    id: 'e',
    exitCode,
    reason: exitCode === 0 ? 'Completed' : 'Error',
    startedAtMs: 0,
    finishedAtMs,
  };
}

/** Steps as words: `start game`, `finished`. */
function plan(view: Partial<PodView> & { policy?: 'Always' | 'OnFailure' | 'Never' }): [string[], number | undefined] {
  const { policy, ...rest } = view;
  const { steps, wakeAtMs } = planPod(
    {
      spec: { containers: [], ...(policy === undefined ? {} : { restartPolicy: policy }) },
      init: [],
      main: [record('game')],
      ending: undefined,
      finished: false,
      volumesReady: true,
      startAtMs: 0,
      ...rest,
    },
    now,
    limits,
  );
  const words = steps.map((step) => {
    if (step.kind === 'stopping') return `${step.act} ${step.container.spec.name}`;
    return 'container' in step ? `${step.kind} ${step.container.spec.name}` : step.kind;
  });
  return [words, wakeAtMs];
}

test('a new pod gets its volumes, waits for its image and then starts all containers', () => {
  assert.deepEqual(plan({ volumesReady: false }), [['prepare-volumes'], undefined]);
  assert.deepEqual(plan({ startAtMs: now + 300 }), [[], now + 300]);
  assert.deepEqual(plan({ main: [record('a'), record('b')] }), [['start a', 'start b'], undefined]);
});

test('init containers run one after the other and before everything else', () => {
  const init = [record('i1'), record('i2')];
  assert.deepEqual(plan({ init })[0], ['start i1']);
  assert.deepEqual(plan({ init: [record('i1', running), record('i2')] })[0], []);
  assert.deepEqual(plan({ init: [record('i1', ended(0)), record('i2')] })[0], ['start i2']);
  assert.deepEqual(plan({ init: [record('i1', ended(0)), record('i2', ended(0))] })[0], ['start game']);
});

test('a failed init container is tried again, unless the policy is Never: then the pod has failed', () => {
  const init = [record('i1', ended(1))];
  assert.deepEqual(plan({ init, policy: 'Always' })[0], ['start i1']);
  assert.deepEqual(plan({ init, policy: 'OnFailure' })[0], ['start i1']);
  assert.deepEqual(plan({ init, policy: 'Never' })[0], ['finished']);
});

test('init containers do not run again once the containers have started', () => {
  const init = [record('i1', ended(137))];
  assert.deepEqual(plan({ init, main: [record('game', running)] })[0], []);
});

test('which ends a restart policy answers with a restart', () => {
  const cases: ['Always' | 'OnFailure' | 'Never', number, string][] = [
    ['Always', 0, 'start game'],
    ['Always', 1, 'start game'],
    ['OnFailure', 0, 'finished'],
    ['OnFailure', 1, 'start game'],
    ['Never', 0, 'finished'],
    ['Never', 1, 'finished'],
  ];
  for (const [policy, exitCode, expected] of cases) {
    assert.deepEqual(plan({ policy, main: [record('game', ended(exitCode))] })[0], [expected], `${policy} ${exitCode}`);
  }
});

test('a pod is finished only when all its containers are over', () => {
  const main = [record('a', ended(0)), record('b', running)];
  assert.deepEqual(plan({ policy: 'Never', main })[0], []);
});

test('the second restart waits for the back-off, says so once, and comes when it is over', () => {
  const end = ended(1, now - 4_000);
  const backoff = { delayMs: 10_000, sinceMs: now - 20_000 };
  assert.deepEqual(plan({ main: [record('game', end, { backoff })] }), [['back-off game'], now + 6_000]);
  const waiting: ContainerRecord['now'] = { state: 'waiting', reason: 'CrashLoopBackOff' };
  assert.deepEqual(plan({ main: [record('game', waiting, { backoff, last: end })] }), [[], now + 6_000]);
  const over = { ...end, finishedAtMs: now - 10_000 };
  assert.deepEqual(plan({ main: [record('game', waiting, { backoff, last: over })] }), [['start game'], undefined]);
});

test('the back-off doubles from 10 s to 5 min, and begins anew after ten good minutes', () => {
  const container = record('game');
  const delays: number[] = [];
  let at = 0;
  for (let crash = 0; crash < 8; crash += 1) {
    const end = ended(1, at);
    container.backoff = growBackoff(container, end, at, limits);
    delays.push(container.backoff.delayMs / 1000);
    at += 1_000;
  }
  assert.deepEqual(delays, [10, 20, 40, 80, 160, 300, 300, 300]);
  const held = ended(1, container.backoff.sinceMs + 600_001);
  assert.equal(growBackoff(container, held, held.finishedAtMs, limits).delayMs, 10_000);
});

test('a container that cannot be configured is not tried again and again', () => {
  const broken: ContainerRecord['now'] = { state: 'waiting', reason: 'CreateContainerConfigError' };
  assert.deepEqual(plan({ main: [record('game', broken)] }), [[], undefined]);
});

test('a pod that ends starts nothing, restarts nothing and stops what runs', () => {
  const ending = { graceSeconds: 10 };
  assert.deepEqual(plan({ ending }), [['finished'], undefined]);
  assert.deepEqual(plan({ ending, volumesReady: false }), [['finished'], undefined]);
  assert.deepEqual(plan({ ending, main: [record('game', ended(1))] }), [['finished'], undefined]);
  const main = [record('a', running), record('b', ended(1)), record('c', { ...running, hook: 'pending' })];
  assert.deepEqual(plan({ ending, main }), [['terminate a', 'run-hook c'], now + 10_000]);
  assert.deepEqual(plan({ ending, init: [record('i', running)] }), [['terminate i'], now + 10_000]);
});

test('a pod that was reported as finished stays so', () => {
  assert.deepEqual(plan({ finished: true, policy: 'Always' }), [['finished'], undefined]);
});

test('what ran under an earlier kubelet counts as killed and is restarted by the policy', () => {
  const status = { name: 'game', lastState: {}, ready: true, started: true, image: '', imageID: '', restartCount: 3 };
  const startedAt = '2026-11-22T11:31:52Z';
  const lost = openRecord(
    makeContainer('game'),
    { ...status, state: { running: { startedAt } }, containerID: 'x://7' },
    now,
  );
  assert.deepEqual(
    [lost.now.state === 'terminated' && [lost.now.exitCode, lost.now.reason, lost.now.id], lost.restartCount],
    [[137, 'ContainerStatusUnknown', '7'], 3],
  );
  assert.deepEqual(plan({ main: [lost] })[0], ['start game']);
  assert.deepEqual(plan({ main: [lost], policy: 'Never' })[0], ['finished']);
  const terminated = { exitCode: 0, reason: 'Completed', startedAt, finishedAt: startedAt };
  const over = openRecord(makeContainer('game'), { ...status, state: { terminated } }, now);
  assert.deepEqual(plan({ main: [over], policy: 'OnFailure' })[0], ['finished']);
});
