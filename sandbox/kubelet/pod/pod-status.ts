import { type ContainerRecord, formatId, type Terminated } from './container-record.ts';
import type { PodPlace } from './environment.ts';
import type { Condition, ContainerStateStatus, ContainerStatus, Pod, PodStatus } from './pod.ts';

export type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

/** The facts for the status. `finished`: no container runs, and none will. */
export interface PodFacts {
  pod: Pod;
  init: readonly ContainerRecord[];
  main: readonly ContainerRecord[];
  finished: boolean;
  volumesReady: boolean;
  firstSeenMs: number;
  /** The conditions as last sent: the source of transition times until the API server has answered. */
  before: readonly Condition[];
}

export function readPhase({ init, main, finished }: Pick<PodFacts, 'init' | 'main' | 'finished'>): Phase {
  if (finished) {
    // A container that never ran does not count as a success: a pod deleted before its start ends as Failed.
    const ends = [...init, ...main].map(({ now, last }) => (now.state === 'terminated' ? now : last));
    return ends.every((end) => end?.exitCode === 0) ? 'Succeeded' : 'Failed';
  }
  const wasStarted = main.some(({ now, last }) => now.state !== 'waiting' || last !== undefined);
  const unstarted = main.some(({ now, last }) => now.state === 'waiting' && last === undefined);
  return wasStarted && !unstarted ? 'Running' : 'Pending';
}

/** The whole status that this kubelet wants, except conditions that belong to others. */
export function describeStatus(facts: PodFacts, place: PodPlace, nowMs: number): PodStatus & { phase: Phase } {
  const { pod, init, main, volumesReady, firstSeenMs } = facts;
  const phase = readPhase(facts);
  const placed = { hostIP: place.address, hostIPs: [{ ip: place.address }] };
  const inside = volumesReady ? { podIP: place.address, podIPs: [{ ip: place.address }] } : {};
  const statuses =
    init.length === 0 ? {} : { initContainerStatuses: init.map((record) => describeContainer(record, true)) };
  return {
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    phase,
    conditions: describeConditions(facts, phase, nowMs),
    ...placed,
    ...inside,
    startTime: pod.status?.startTime ?? formatTime(firstSeenMs),
    ...statuses,
    containerStatuses: main.map((record) => describeContainer(record, false)),
  };
}

function describeContainer(record: ContainerRecord, isInit: boolean): ContainerStatus {
  const { spec, now, last } = record;
  const id = now.state === 'waiting' ? last?.id : now.id;
  const isDone = isInit && now.state === 'terminated' && now.exitCode === 0;
  return {
    name: spec.name,
    state: describeState(now),
    lastState: last === undefined ? {} : describeState(last),
    ready: isDone || (now.state === 'running' && now.ready),
    started: now.state === 'running',
    restartCount: record.restartCount,
    image: spec.image ?? '',
    imageID: '',
    ...(id === undefined ? {} : { containerID: formatId(id) }),
  };
}

function describeState(now: ContainerRecord['now']): ContainerStateStatus {
  switch (now.state) {
    case 'waiting':
      return { waiting: { reason: now.reason, ...(now.message === undefined ? {} : { message: now.message }) } };
    case 'running':
      return { running: { startedAt: formatTime(now.startedAtMs) } };
    case 'terminated':
      return { terminated: describeEnd(now) };
  }
}

function describeEnd(end: Terminated): NonNullable<ContainerStateStatus['terminated']> {
  return {
    exitCode: end.exitCode,
    reason: end.reason,
    ...(end.message === undefined ? {} : { message: end.message }),
    // The real kubelet also reports the epoch for a container that could not be started.
    startedAt: formatTime(end.startedAtMs ?? 0),
    finishedAt: formatTime(end.finishedAtMs),
    ...(end.id === undefined ? {} : { containerID: formatId(end.id) }),
  };
}

type Verdict = Pick<Condition, 'status' | 'reason' | 'message'>;

function describeConditions(facts: PodFacts, phase: Phase, nowMs: number): Condition[] {
  const { pod, init, main, finished, volumesReady, before: known } = facts;
  const isInitialized = finished || init.every(isDone);
  const containers = judgeContainers(main, phase, finished);
  const verdicts: [string, Verdict][] = [
    ['PodReadyToStartContainers', { status: toStatus(volumesReady && !finished) }],
    [
      'Initialized',
      isInitialized
        ? { status: 'True', ...(phase === 'Succeeded' ? { reason: 'PodCompleted' } : {}) }
        : {
            status: 'False',
            ...unready(
              'ContainersNotInitialized',
              'incomplete',
              init.filter((r) => !isDone(r)),
            ),
          },
    ],
    ['Ready', containers.status === 'True' ? judgeGates(pod) : containers],
    ['ContainersReady', containers],
    ['PodScheduled', { status: 'True' }],
  ];
  return verdicts.map(([type, verdict]) => {
    const before = known.find((condition) => condition.type === type);
    const moved = before?.status !== verdict.status || before.lastTransitionTime === undefined;
    return {
      type,
      ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
      ...verdict,
      lastProbeTime: null,
      lastTransitionTime: moved ? formatTime(nowMs) : (before.lastTransitionTime ?? formatTime(nowMs)),
    };
  });
}

function judgeContainers(main: readonly ContainerRecord[], phase: Phase, finished: boolean): Verdict {
  if (finished) return { status: 'False', reason: phase === 'Succeeded' ? 'PodCompleted' : 'PodFailed' };
  const unreadyOnes = main.filter(({ now }) => now.state !== 'running' || !now.ready);
  if (unreadyOnes.length === 0) return { status: 'True' };
  return { status: 'False', ...unready('ContainersNotReady', 'unready', unreadyOnes) };
}

function judgeGates(pod: Pod): Verdict {
  const messages = (pod.spec.readinessGates ?? []).flatMap(({ conditionType }) => {
    const condition = pod.status?.conditions?.find(({ type }) => type === conditionType);
    if (condition === undefined)
      return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`];
    if (condition.status === 'True') return [];
    return [`the status of pod readiness gate "${conditionType}" is not "True", but ${condition.status}`];
  });
  if (messages.length === 0) return { status: 'True' };
  return { status: 'False', reason: 'ReadinessGatesNotReady', message: messages.join(', ') };
}

function unready(
  reason: string,
  word: string,
  records: readonly ContainerRecord[],
): { reason: string; message: string } {
  return { reason, message: `containers with ${word} status: [${records.map(({ spec }) => spec.name).join(' ')}]` };
}

function isDone({ now }: ContainerRecord): boolean {
  return now.state === 'terminated' && now.exitCode === 0;
}

function toStatus(value: boolean): 'True' | 'False' {
  return value ? 'True' : 'False';
}

/** Kubernetes' `Time`: whole seconds. */
export function formatTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/**
 * A strategic merge patch of `/status`. Conditions merge by type, so those of other writers stay. A reason or message
 * that no longer applies has to be removed by null.
 */
export function patchStatus(uid: string, wanted: PodStatus, known: readonly Condition[]): object {
  const conditions = wanted.conditions?.map((condition) => {
    const same = known.filter(({ type }) => type === condition.type);
    return {
      ...(same.some(({ reason }) => reason !== undefined) ? { reason: null } : {}),
      ...(same.some(({ message }) => message !== undefined) ? { message: null } : {}),
      ...condition,
    };
  });
  return { metadata: { uid }, status: { ...wanted, conditions } };
}
