import { type BackoffLimits, type ContainerRecord, restartAtMs, type Terminated } from './container-record.ts';
import { decideStop, type Stopping } from './grace.ts';
import type { PodSpec } from './pod.ts';

/** All facts that decide a pod's next actions. Times are epoch milliseconds. */
export interface PodView {
  spec: PodSpec;
  init: readonly ContainerRecord[];
  main: readonly ContainerRecord[];
  /** Set once the pod has to end. */
  ending: { graceSeconds: number } | undefined;
  /** Already reported as Succeeded or Failed: none of its containers starts again. */
  finished: boolean;
  volumesReady: boolean;
  /** The image is available from this time on. */
  startAtMs: number;
}

export type PodStep =
  | { kind: 'prepare-volumes' }
  | { kind: 'start'; container: ContainerRecord; endedBefore: Terminated | undefined }
  | { kind: 'back-off'; container: ContainerRecord; ended: Terminated; delayMs: number }
  | {
      kind: 'stopping';
      container: ContainerRecord;
      stopping: Stopping;
      act: 'run-hook' | 'terminate' | 'kill' | 'wait';
    }
  /** No container runs, and none will. */
  | { kind: 'finished' };

export interface PodPlan {
  steps: PodStep[];
  /** Plan again at this time at the latest; undefined if only an event can change anything. */
  wakeAtMs: number | undefined;
}

/**
 * Decides the actions for one pod now. Plans everything anew each time, so that changes in between need no case of
 * their own.
 */
export function planPod(view: PodView, nowMs: number, limits: BackoffLimits): PodPlan {
  if (view.ending !== undefined) return planEnd(view, view.ending.graceSeconds, nowMs);
  if (view.finished) return { steps: [{ kind: 'finished' }], wakeAtMs: undefined };
  if (!view.volumesReady) return { steps: [{ kind: 'prepare-volumes' }], wakeAtMs: undefined };
  if (nowMs < view.startAtMs) return { steps: [], wakeAtMs: view.startAtMs };
  const policy = view.spec.restartPolicy ?? 'Always';
  const started = view.main.some(({ now }) => now.state !== 'waiting' || now.reason === 'CrashLoopBackOff');
  const init = started ? undefined : view.init.find((record) => !hasSucceeded(record));
  if (init !== undefined) {
    // Retry a failed init container unless the policy is Never; "Always" never repeats a successful one.
    return planContainers([init], policy === 'Never' ? 'Never' : 'OnFailure', nowMs, limits);
  }
  return planContainers(view.main, policy, nowMs, limits);
}

function planContainers(
  records: readonly ContainerRecord[],
  policy: 'Always' | 'OnFailure' | 'Never',
  nowMs: number,
  limits: BackoffLimits,
): PodPlan {
  const plans = records.map((record) => planContainer(record, policy, nowMs, limits));
  if (plans.every((plan) => plan === 'over')) return { steps: [{ kind: 'finished' }], wakeAtMs: undefined };
  return joinPlans(plans.filter((plan) => plan !== 'over'));
}

function planContainer(
  container: ContainerRecord,
  policy: 'Always' | 'OnFailure' | 'Never',
  nowMs: number,
  limits: BackoffLimits,
): PodPlan | 'over' {
  const { now: current, last } = container;
  if (current.state === 'running') return nothing;
  const ended = current.state === 'terminated' ? current : last;
  if (current.state === 'waiting' && current.reason !== 'CrashLoopBackOff') {
    const wanted = current.reason === 'ContainerCreating' || current.reason === 'PodInitializing';
    return wanted ? { steps: [{ kind: 'start', container, endedBefore: undefined }], wakeAtMs: undefined } : nothing;
  }
  if (ended === undefined) return nothing;
  if (policy === 'Never' || (policy === 'OnFailure' && ended.exitCode === 0)) return 'over';
  const atMs = restartAtMs(container, ended, limits);
  if (nowMs >= atMs) return { steps: [{ kind: 'start', container, endedBefore: ended }], wakeAtMs: undefined };
  if (current.state === 'waiting') return { steps: [], wakeAtMs: atMs };
  return { steps: [{ kind: 'back-off', container, ended, delayMs: atMs - ended.finishedAtMs }], wakeAtMs: atMs };
}

function planEnd(view: PodView, graceSeconds: number, nowMs: number): PodPlan {
  const plans: PodPlan[] = [];
  for (const container of [...view.init, ...view.main]) {
    if (container.now.state !== 'running') continue;
    const { stopping, act, wakeAtMs } = decideStop(container.now.stopping, nowMs, {
      graceSeconds,
      hook: container.now.hook,
    });
    plans.push({ steps: [{ kind: 'stopping', container, stopping, act }], wakeAtMs });
  }
  return plans.length === 0 ? { steps: [{ kind: 'finished' }], wakeAtMs: undefined } : joinPlans(plans);
}

const nothing: PodPlan = { steps: [], wakeAtMs: undefined };

function joinPlans(plans: readonly PodPlan[]): PodPlan {
  const wakes = plans.flatMap(({ wakeAtMs }) => (wakeAtMs === undefined ? [] : [wakeAtMs]));
  return { steps: plans.flatMap(({ steps }) => steps), wakeAtMs: wakes.length === 0 ? undefined : Math.min(...wakes) };
}

function hasSucceeded({ now }: ContainerRecord): boolean {
  return now.state === 'terminated' && now.exitCode === 0;
}
