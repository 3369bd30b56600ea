import type { Clock } from '../../shared/clock.ts';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { warmAnnotation } from '../../shared/fleet-names.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Fleet } from '../cluster/fleet.ts';
import { patchDeployment } from '../loop/loop.ts';
import { planShift, type ShiftGoal, type ShiftStep, shiftGoal, warmOf } from './plan-shift.ts';
import { fleetNamed } from './show.ts';

export interface ShiftOptions {
  readonly connection: KubeConnection;
  readonly view: ClusterView;
  readonly clock: Clock;
  readonly from: string;
  readonly to: string;
  /** Shares of the sum, from above 0 to 1. */
  readonly step: number;
  readonly until: number;
  /** Time limit for the new fleet to become ready, at each step. */
  readonly readyMs: number;
  readonly onProgress: (progress: ShiftProgress) => void;
}

export interface ShiftProgress {
  readonly step: ShiftStep['kind'];
  readonly from: { readonly fleet: string; readonly warm: number };
  readonly to: { readonly fleet: string; readonly warm: number; readonly ready: number };
  readonly target: number;
}

/** Set on the new fleet during a shift: holds the sum, so that an interrupted shift keeps it. */
const shiftAnnotation = 'spotable.dev/shift';
const lookAgainMs = 1000;

/**
 * Moves warm game servers from one fleet to another. Throws a FatalError if the new fleet does not become ready in
 * time.
 */
export async function shift(options: ShiftOptions, signal: AbortSignal): Promise<void> {
  const { connection, view, clock, from, to, step, until, readyMs, onProgress } = options;
  if (from === to) throw new FatalError('Cannot shift a fleet to itself', { status: exitStatus.usage });
  const first = { from: fleetNamed(view, from), to: fleetNamed(view, to) };
  const goal = shiftGoal(sumOf(first.from, first.to), step, until);
  let waitsSinceMs: number | undefined;
  let told = '';
  for (;;) {
    signal.throwIfAborted();
    const change = view.changed();
    const fleets = { from: fleetNamed(view, from), to: fleetNamed(view, to) };
    const next = planShift(fleets.from, fleets.to, goal);
    const progress = progressOf(next, fleets.from, fleets.to, goal);
    if (JSON.stringify(progress) !== told) onProgress(progress);
    told = JSON.stringify(progress);
    if (next.kind === 'done') {
      await setAnnotation(connection, fleets.to, null, signal);
      return;
    }
    if (next.kind === 'raise') await scale(connection, fleets.to, next.replicas, shiftMark(from, goal.sum), signal);
    if (next.kind === 'lower') await scale(connection, fleets.from, next.replicas, {}, signal);
    if (next.kind !== 'wait') waitsSinceMs = undefined;
    else {
      waitsSinceMs ??= performance.now();
      if (performance.now() - waitsSinceMs > readyMs)
        throw new FatalError(
          `Fleet ${to} is not ready: ${next.ready} of ${next.replicas}. Nothing was taken from ${from}; go on with the same command, or back with --from ${to} --to ${from}`,
          { status: exitStatus.temporaryFailure },
        );
    }
    // The watch shows our own write too. `change` was taken before it, so no change in between is missed.
    await Promise.race([change, clock.sleep(lookAgainMs, signal)]);
  }
}

function progressOf({ kind }: ShiftStep, from: Fleet, to: Fleet, { target }: ShiftGoal): ShiftProgress {
  return {
    step: kind,
    from: { fleet: from.name, warm: warmOf(from) },
    to: { fleet: to.name, warm: warmOf(to), ready: to.readyReplicas },
    target,
  };
}

function shiftMark(from: string, sum: number): Readonly<Record<string, string>> {
  return { [shiftAnnotation]: JSON.stringify({ from, sum }) };
}

function sumOf(from: Fleet, to: Fleet): number {
  try {
    const mark = Object(JSON.parse(to.annotations[shiftAnnotation] ?? '{}')) as { from?: unknown; sum?: unknown };
    if (mark.from === from.name && typeof mark.sum === 'number') return mark.sum;
  } catch {
    // Not our text: use the present sum.
  }
  return warmOf(from) + warmOf(to);
}

/** With a maximum the loop sets the replicas, so write the wanted number into the annotation. */
async function scale(
  connection: KubeConnection,
  fleet: Fleet,
  replicas: number,
  annotations: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const { resourceVersion, max } = fleet;
  const warm = max === undefined ? {} : { [warmAnnotation]: String(replicas) };
  const patch = {
    metadata: { resourceVersion, annotations: { ...annotations, ...warm } },
    ...(max === undefined && { spec: { replicas } }),
  };
  await patchDeployment(connection, fleet, patch, signal);
}

async function setAnnotation(
  connection: KubeConnection,
  fleet: Fleet,
  value: string | null,
  signal: AbortSignal,
): Promise<void> {
  await patchDeployment(connection, fleet, { metadata: { annotations: { [shiftAnnotation]: value } } }, signal);
}
