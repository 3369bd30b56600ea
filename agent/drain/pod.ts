import type { V1Pod } from '@kubernetes/client-node';
import { type GameServerPod, readGameServerPod } from '../game-servers/game-server-pod.ts';

/** What a drain needs to know of a pod. */
export interface PodView {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Kind of the controller in its ownerReferences, such as `ReplicaSet`. */
  readonly controllerKind: string | undefined;
  /** A mirror pod stands for a static pod of the kubelet: the API server cannot end it. */
  readonly isMirror: boolean;
  /** Succeeded or Failed: nothing of it runs any more. */
  readonly isFinished: boolean;
  /** Every container has ended and the pod is being deleted: nothing of it runs any more, though it is still listed. */
  readonly hasEnded: boolean;
  /** The value of its priority class. */
  readonly priority: number;
  readonly gracePeriodSeconds: number;
  /** When it should be gone, epoch milliseconds; undefined while nobody has asked it to go. */
  readonly goneByMs: number | undefined;
  /** Where it is a game server. */
  readonly gameServer?: GameServerPod | undefined;
}

/** Kubernetes' default where a pod does not say. */
const defaultGracePeriodSeconds = 30;

/**
 * Reads what the API server sent (JSON, so instants are text); undefined where it is no pod that could be addressed.
 */
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
    // deletionTimestamp is the time of the request plus the grace: the moment the pod should be gone.
    goneByMs: deletionTimestamp === undefined ? undefined : Date.parse(String(deletionTimestamp)),
    ...(gameServer && { gameServer }),
  };
}

export function podName({ namespace, name }: PodView): string {
  return `${namespace}/${name}`;
}
