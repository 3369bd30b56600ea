import type { V1Pod } from '@kubernetes/client-node';
import { type GameServerPod, readGameServerPod } from '../game-servers/game-server-pod.ts';

/** The parts of a pod that a drain needs. */
export interface PodView {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Kind of the controller in its ownerReferences, such as `ReplicaSet`. */
  readonly controllerKind: string | undefined;
  /** A mirror pod represents a static pod of the kubelet. The API server cannot end it. */
  readonly isMirror: boolean;
  /** Succeeded or Failed: none of its containers runs any more. */
  readonly isFinished: boolean;
  /** The pod is being deleted and every container has ended: only the API object is left. */
  readonly hasEnded: boolean;
  /** The value of its priority class. */
  readonly priority: number;
  readonly gracePeriodSeconds: number;
  /** When it should be gone, epoch milliseconds; undefined: it is not being deleted. */
  readonly goneByMs: number | undefined;
  /** Set if the pod is a game server. */
  readonly gameServer?: GameServerPod | undefined;
}

/** Kubernetes' default. */
const defaultGracePeriodSeconds = 30;

/** Reads a pod from the API server's JSON, in which times are text; undefined: it has no identity. */
export function readPod(object: V1Pod): PodView | undefined {
  const { namespace, name, uid, labels, annotations, ownerReferences, deletionTimestamp } = object.metadata ?? {};
  if (namespace === undefined || name === undefined || uid === undefined) return undefined;
  const isFinished = object.status?.phase === 'Succeeded' || object.status?.phase === 'Failed';
  const containers = object.status?.containerStatuses ?? [];
  const isStopped = containers.length > 0 && containers.every(({ state }) => state?.terminated !== undefined);
  const gameServer = readGameServerPod(object);
  return {
    namespace,
    name,
    uid,
    labels: labels ?? {},
    controllerKind: ownerReferences?.find(({ controller }) => controller === true)?.kind,
    isMirror: annotations?.['kubernetes.io/config.mirror'] !== undefined,
    isFinished,
    hasEnded: deletionTimestamp !== undefined && (isFinished || isStopped),
    priority: object.spec?.priority ?? 0,
    gracePeriodSeconds: object.spec?.terminationGracePeriodSeconds ?? defaultGracePeriodSeconds,
    // deletionTimestamp is the time of the request plus the grace period.
    goneByMs: deletionTimestamp === undefined ? undefined : Date.parse(String(deletionTimestamp)),
    ...(gameServer && { gameServer }),
  };
}

export function podName({ namespace, name }: PodView): string {
  return `${namespace}/${name}`;
}
