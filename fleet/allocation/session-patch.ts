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

/** Keep autoscalers from removing a node with a session. */
const keepNode = {
  'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
  'karpenter.sh/do-not-disrupt': 'true',
} as const;
const deletionCostAnnotation = 'controller.kubernetes.io/pod-deletion-cost';
const passedOverAnnotation = 'spotable.dev/passed-over';
/**
 * Keep a pod that was given back: it is already running, so the ReplicaSet should delete a newer pod to get back to its
 * size.
 */
const givenBackCost = '1000';

export interface SessionMetadata {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * The merge patch that gives the pod a session and releases it from its ReplicaSet. It applies to that version of the
 * pod only.
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

/** The merge patch for a request that selects allocated game servers: the session stays. */
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

/** The merge patch that removes the session: the ReplicaSet adopts the pod again. */
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

/** Changes only the pod's version, so that a patch based on the earlier version fails. */
export function passOverPatch({ resourceVersion }: GameServerPod, nowMs: number): object {
  return { metadata: { resourceVersion, annotations: { [passedOverAnnotation]: instant(nowMs) } } };
}
