import {
  agonesLastAllocatedAnnotation,
  allocatedAtAnnotation,
  allocatedRestartsAnnotation,
  allocationLabel,
  sessionAnnotation,
  sessionOverAnnotation,
} from '../../shared/fleet-names.ts';
import { instant } from '../../shared/interruption/interruption.ts';
import type { GameServerPod } from '../cluster/game-server-pod.ts';

/** Keep autoscalers from taking a node away under a session. */
const keepNode = {
  'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
  'karpenter.sh/do-not-disrupt': 'true',
} as const;
const deletionCostAnnotation = 'controller.kubernetes.io/pod-deletion-cost';
const passedOverAnnotation = 'spotable.dev/passed-over';
/** One that was given back is up already: the ReplicaSet, which then has one too many, takes a newer one. */
const givenBackCost = '1000';

export interface SessionMetadata {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * The merge patch that gives the pod a session and takes it out of its ReplicaSet's reach. It applies to that state of
 * the pod only.
 */
export function allocatePatch(
  { resourceVersion, restarts }: GameServerPod,
  sessionId: string,
  { labels, annotations }: SessionMetadata,
  nowMs: number,
): object {
  return {
    metadata: {
      resourceVersion,
      labels: { ...labels, [allocationLabel]: 'allocated' },
      annotations: {
        ...annotations,
        ...keepNode,
        [sessionAnnotation]: sessionId,
        [allocatedAtAnnotation]: instant(nowMs),
        [allocatedRestartsAnnotation]: String(restarts),
        [agonesLastAllocatedAnnotation]: instant(nowMs),
        [sessionOverAnnotation]: null,
      },
    },
  };
}

/** The merge patch for a game server that is allocated already and was asked for as such: its session stays. */
export function reallocatePatch(
  { resourceVersion }: GameServerPod,
  { labels, annotations }: SessionMetadata,
  nowMs: number,
): object {
  return {
    metadata: {
      resourceVersion,
      labels,
      annotations: { ...annotations, [agonesLastAllocatedAnnotation]: instant(nowMs) },
    },
  };
}

/** The merge patch that takes the session away: the ReplicaSet adopts the pod again. */
export function giveBackPatch({ resourceVersion }: GameServerPod): object {
  return {
    metadata: {
      resourceVersion,
      labels: { [allocationLabel]: 'unallocated' },
      annotations: {
        ...Object.fromEntries(Object.keys(keepNode).map((key) => [key, null])),
        [sessionAnnotation]: null,
        [allocatedAtAnnotation]: null,
        [allocatedRestartsAnnotation]: null,
        [deletionCostAnnotation]: givenBackCost,
      },
    },
  };
}

/** Changes nothing but the pod's version: a patch that was made for the state before it fails. */
export function passOverPatch({ resourceVersion }: GameServerPod, nowMs: number): object {
  return { metadata: { resourceVersion, annotations: { [passedOverAnnotation]: instant(nowMs) } } };
}
