import type { V1Pod } from '@kubernetes/client-node';
import {
  type Allocation,
  allocatedRestartsAnnotation,
  allocationLabel,
  sessionAnnotation,
} from '../../shared/fleet-names.ts';

/** The facts about a pod that allocation needs. */
export interface GameServerPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly nodeName: string | undefined;
  readonly hostIp: string | undefined;
  /** Ready in Kubernetes' sense, readiness gates included. */
  readonly isReady: boolean;
  readonly isDeleting: boolean;
  /** Succeeded or Failed. */
  readonly isFinished: boolean;
  /** A ReplicaSet still owns it. */
  readonly hasController: boolean;
  /** Number of container restarts. */
  readonly restarts: number;
  readonly createdAtMs: number;
  /** Host ports in the pod's spec. */
  readonly hostPorts: readonly GameServerPort[];
}

export interface GameServerPort {
  readonly name: string;
  readonly port: number;
}

/** Reads a pod from the API server; undefined if it lacks the fields that identify it. */
export function readPod({ metadata, spec, status }: V1Pod): GameServerPod | undefined {
  const { namespace, name, uid, resourceVersion, creationTimestamp } = metadata ?? {};
  if (namespace === undefined || name === undefined || uid === undefined || resourceVersion === undefined)
    return undefined;
  return {
    namespace,
    name,
    uid,
    resourceVersion,
    labels: metadata?.labels ?? {},
    annotations: metadata?.annotations ?? {},
    nodeName: spec?.nodeName,
    hostIp: status?.hostIP,
    isReady: status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false,
    isDeleting: metadata?.deletionTimestamp !== undefined,
    isFinished: status?.phase === 'Succeeded' || status?.phase === 'Failed',
    hasController: metadata?.ownerReferences?.some(({ controller }) => controller === true) ?? false,
    restarts: (status?.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0),
    createdAtMs: Date.parse(String(creationTimestamp ?? '')),
    hostPorts: (spec?.containers ?? []).flatMap(({ ports }) =>
      (ports ?? []).flatMap(({ name: port, hostPort }) =>
        hostPort === undefined ? [] : [{ name: port ?? '', port: hostPort }],
      ),
    ),
  };
}

export function allocationOf({ labels }: GameServerPod): Allocation | undefined {
  const value = labels[allocationLabel];
  return value === 'allocated' || value === 'unallocated' ? value : undefined;
}

export function sessionOf(pod: GameServerPod): string | undefined {
  return allocationOf(pod) === 'allocated' ? pod.annotations[sessionAnnotation] : undefined;
}

/** The game has ended, and so has its session: a container that the kubelet restarts must not get another one. */
export function isSpent(pod: GameServerPod): boolean {
  if (allocationOf(pod) !== 'allocated') return false;
  const before = Number(pod.annotations[allocatedRestartsAnnotation] ?? 0);
  return pod.isFinished || pod.restarts > before;
}

/** Whether players are, or may be, on it. */
export function hasSession(pod: GameServerPod): boolean {
  return allocationOf(pod) === 'allocated' && !pod.isDeleting && !isSpent(pod);
}
