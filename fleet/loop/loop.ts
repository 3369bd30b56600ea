import type { Clock } from '../../shared/clock.ts';
import { warmAnnotation } from '../../shared/fleet-names.ts';
import { refusal } from '../../shared/kubernetes/kube-answer.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { giveBackPatch } from '../allocation/session-patch.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Fleet } from '../cluster/fleet.ts';
import { deploymentsPath, mergePatch } from '../cluster/kube-paths.ts';
import { deletePod, patchPod } from '../cluster/pod-writer.ts';
import type { Lease } from './lease.ts';
import { type LoopStep, planPass } from './plan-pass.ts';

export interface LoopOptions {
  readonly connection: KubeConnection;
  readonly view: ClusterView;
  readonly lease: Pick<Lease, 'isHeld'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly activationMs: number;
  readonly onStep: (kind: LoopStep['kind']) => void;
  /** Reports something that the fleet's operator should read. */
  readonly onEvent: (fleet: Fleet, reason: string, message: string) => void;
}

/** Changes arrive in bursts: make one pass for all of them. */
const gatherMs = 100;
/** Also run for changes that only time brings, such as allocations that are never activated. */
const maxPauseMs = 5000;
/** Concurrent steps. */
const maxSteps = 16;

/** Does the work that only one replica may do. Every pass looks at everything again. Runs until the signal aborts. */
export async function runLoop(options: LoopOptions, signal: AbortSignal): Promise<void> {
  const { view, lease, clock, activationMs } = options;
  await view.complete(signal).catch(() => {});
  while (!signal.aborted) {
    const change = view.changed();
    if (lease.isHeld) {
      const steps = planPass(view, { nowMs: clock.now(), activationMs });
      for (let at = 0; at < steps.length && !signal.aborted && lease.isHeld; at += maxSteps)
        await Promise.all(steps.slice(at, at + maxSteps).map((step) => takeStep(options, step, signal)));
    }
    await Promise.race([change, clock.sleep(maxPauseMs, signal).catch(() => {})]);
    await clock.sleep(gatherMs, signal).catch(() => {});
  }
}

/** Log a step's failure and go on with the others: the next pass plans the step again. */
async function takeStep(options: LoopOptions, step: LoopStep, signal: AbortSignal): Promise<void> {
  const { log, onStep } = options;
  try {
    if (await act(options, step, signal)) onStep(step.kind);
  } catch (error) {
    if (!signal.aborted) log.warn({ step: step.kind, err: errorText(error) }, 'Fleet step failed');
  }
}

/** False if the object has changed in the meantime. */
async function act(options: LoopOptions, step: LoopStep, signal: AbortSignal): Promise<boolean> {
  const { connection, log, onEvent } = options;
  switch (step.kind) {
    case 'delete-spent':
      await deletePod(connection, step.pod, signal);
      log.info({ pod: step.pod.name, node: step.pod.nodeName }, 'Spent game server deleted');
      return true;
    case 'give-back': {
      const { kind } = await patchPod(connection, step.pod, giveBackPatch(step.pod), signal);
      if (kind === 'written') log.info({ pod: step.pod.name, reason: step.reason }, 'Game server given back');
      return kind === 'written';
    }
    case 'mark-overflow': {
      const { pod, fleet, overflow } = step;
      const patch = { metadata: { resourceVersion: pod.resourceVersion, ...overflow } };
      const { kind } = await patchPod(connection, pod, patch, signal);
      if (kind !== 'written') return false;
      log.info({ pod: pod.name, fleet: fleet.name }, 'Session marked as overflow');
      onEvent(fleet, 'SessionOverflow', `Session on ${pod.name} marked: the fleet has moved on`);
      return true;
    }
    case 'set-replicas':
      return setReplicas(options, step, signal);
  }
}

async function setReplicas(
  { connection, log, onEvent }: LoopOptions,
  { fleet, replicas, warm }: Extract<LoopStep, { kind: 'set-replicas' }>,
  signal: AbortSignal,
): Promise<boolean> {
  const isWritten = await patchDeployment(
    connection,
    fleet,
    {
      metadata: { resourceVersion: fleet.resourceVersion, annotations: { [warmAnnotation]: String(warm) } },
      spec: { replicas },
    },
    signal,
  );
  if (isWritten && replicas !== fleet.replicas) {
    log.info({ fleet: fleet.name, replicas, warm, max: fleet.max }, 'Fleet scaled for its maximum');
    onEvent(
      fleet,
      'FleetScaled',
      `Warm game servers set from ${fleet.replicas} to ${replicas}: at most ${fleet.max} in all`,
    );
  }
  return isWritten;
}

/** False if the Deployment has changed or was deleted in the meantime. Throws a KubeError. */
export async function patchDeployment(
  connection: KubeConnection,
  { namespace, name }: Pick<Fleet, 'namespace' | 'name'>,
  patch: object,
  signal: AbortSignal,
): Promise<boolean> {
  const answer = await connection.request({
    method: 'PATCH',
    path: `${deploymentsPath(namespace)}/${encodeURIComponent(name)}`,
    contentType: mergePatch,
    body: patch,
    signal,
  });
  if (answer.status === 409 || answer.status === 404) return false;
  if (answer.status !== 200) throw refusal(`patch Deployment ${namespace}/${name}`, answer);
  return true;
}
