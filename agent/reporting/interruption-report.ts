import { instant } from '../../shared/interruption/interruption.ts';
import type { PodEnd } from '../drain/drain.ts';
import type { PlannedInterruption } from '../interruption/policy.ts';

/** One pod's record during an interruption. Times are epoch milliseconds. */
export interface PodRecord {
  /** `NAMESPACE/NAME`. */
  readonly pod: string;
  readonly isGameServer: boolean;
  readonly how: PodEnd;
  readonly graceSeconds: number | undefined;
  readonly refusals: number;
  readonly askedMs: number | undefined;
  /** When its containers, or its game, had ended. */
  readonly endedMs: number | undefined;
  readonly goneMs: number | undefined;
  /** The game's exit status, if its wrapper reported it. */
  readonly exitCode: number | undefined;
}

export interface InterruptionRecord {
  readonly interruption: PlannedInterruption;
  readonly node: string;
  /** When this process saw the notice. An earlier agent may have seen it before. */
  readonly seenMs: number;
  readonly wrappersTold: number;
  readonly firstToldMs: number | undefined;
  readonly lastToldMs: number | undefined;
  readonly cordonedMs: number | undefined;
  readonly pods: readonly PodRecord[];
  /** Volumes that were still attached at the end, if the drain waits for volumes. */
  readonly volumesLeft: readonly string[];
}

/**
 * `under-way`: it has only begun. `drained`: no container of a pod that had to go ran any more. `incomplete`: one did
 * when the time was up. `unknown`: the node's pods could not be listed. `cancelled`: the notice was withdrawn or
 * expired.
 */
export type InterruptionOutcome = 'under-way' | 'drained' | 'incomplete' | 'unknown' | 'cancelled';

/**
 * One interruption, reported from its end. Names are snake_case, as in all our documents; `_ms` counts from the notice.
 */
export interface InterruptionReport {
  readonly interruption_id: string;
  readonly kind: string;
  readonly action: string;
  readonly response: string;
  readonly is_rehearsal: boolean;
  readonly node: string;
  readonly outcome: InterruptionOutcome;
  readonly first_seen: string;
  readonly deadline: string | null;
  readonly wrappers_told: number;
  readonly first_told_ms: number | null;
  readonly last_told_ms: number | null;
  readonly cordoned_ms: number | null;
  readonly last_pod_gone_ms: number | null;
  /** Time from the end of the drain to the deadline; negative: too late. */
  readonly seconds_left: number | null;
  /** Pods that still ran; null: unknown. */
  readonly pods_left: readonly string[] | null;
  readonly volumes_left: readonly string[];
  readonly pods: readonly ReportedPod[];
}

export interface ReportedPod {
  readonly pod: string;
  readonly is_game_server: boolean;
  readonly how: PodEnd;
  readonly grace_seconds: number | null;
  readonly refusals: number;
  readonly asked_ms: number | null;
  readonly ended_ms: number | null;
  readonly gone_ms: number | null;
  readonly exit_code: number | null;
}

export function interruptionReport(
  record: InterruptionRecord,
  outcome: InterruptionOutcome,
  nowMs: number,
): InterruptionReport {
  const { interruption, seenMs, pods } = record;
  const { deadlineMs } = interruption;
  const since = (atMs: number | undefined) => (atMs === undefined ? null : atMs - seenMs);
  const goneMs = pods.flatMap((pod) => (pod.goneMs === undefined ? [] : [pod.goneMs]));
  return {
    interruption_id: interruption.id,
    kind: interruption.kind,
    action: interruption.action,
    response: interruption.response,
    is_rehearsal: interruption.kind === 'rehearsal',
    node: record.node,
    outcome,
    first_seen: instant(interruption.firstSeenMs),
    deadline: deadlineMs === undefined ? null : instant(deadlineMs),
    wrappers_told: record.wrappersTold,
    first_told_ms: since(record.firstToldMs),
    last_told_ms: since(record.lastToldMs),
    cordoned_ms: since(record.cordonedMs),
    last_pod_gone_ms: goneMs.length === 0 ? null : since(Math.max(...goneMs)),
    seconds_left: deadlineMs === undefined ? null : Math.round((deadlineMs - nowMs) / 100) / 10,
    pods_left: outcome === 'unknown' ? null : pods.filter(isRunning).map(({ pod }) => pod),
    volumes_left: record.volumesLeft,
    pods: pods.map((pod) => reportedPod(pod, since)),
  };
}

export function isRunning({ goneMs, endedMs }: PodRecord): boolean {
  return goneMs === undefined && endedMs === undefined;
}

function reportedPod(record: PodRecord, since: (atMs: number | undefined) => number | null): ReportedPod {
  const { pod, isGameServer, how, graceSeconds, refusals, askedMs, endedMs, goneMs, exitCode } = record;
  return {
    pod,
    is_game_server: isGameServer,
    how,
    grace_seconds: graceSeconds ?? null,
    refusals,
    asked_ms: since(askedMs),
    ended_ms: since(endedMs),
    gone_ms: since(goneMs),
    exit_code: exitCode ?? null,
  };
}
