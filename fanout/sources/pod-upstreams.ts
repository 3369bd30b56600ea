import type { V1Pod } from '@kubernetes/client-node';
import type { Clock } from '../../shared/clock.ts';
import { parseInstant } from '../../shared/interruption/interruption.ts';
import { FollowedList } from '../../shared/kubernetes/follow-list.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import type { Log } from '../../shared/log.ts';
import type { Upstream } from '../election/upstream.ts';
import type { UpstreamSource } from './source.ts';

export interface PodUpstreamsOptions {
  readonly connection: Pick<KubeConnection, 'request' | 'lines'>;
  readonly namespace: string;
  /** In Kubernetes' notation, such as `app=arena,match=m-7`. */
  readonly labelSelector: string;
  readonly portName: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Annotation with the game's port. On the host network the port is leased and appears in no container spec. */
export const portAnnotationPrefix = 'spotable.dev/port.';
/** Annotation that is `"true"` once the game's world equals the other replicas'. */
export const inSyncAnnotation = 'spotable.dev/in-sync';
const deadlineAnnotation = 'spotable.dev/deadline';
const interruptionAnnotation = 'spotable.dev/interruption-kind';

/** Lists and watches the pods of a label selector. Needs `list` and `watch` on pods of the namespace. */
export function podUpstreams({
  connection,
  namespace,
  labelSelector,
  portName,
  clock,
  log,
}: PodUpstreamsOptions): UpstreamSource {
  return {
    run: (report, signal) => {
      const pods = new FollowedList<V1Pod>({
        connection,
        path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods?labelSelector=${encodeURIComponent(labelSelector)}`,
        read: (object) => object as V1Pod,
        onItems: (items) => report([...items.values()].flatMap((pod) => podUpstream(pod, portName))),
        clock,
        log,
      });
      return pods.run(signal);
    },
  };
}

/** Empty if the pod has no address or port yet, or has ended. */
export function podUpstream({ metadata, status, spec }: V1Pod, portName: string): readonly Upstream[] {
  const annotations = metadata?.annotations ?? {};
  const port = Number(annotations[`${portAnnotationPrefix}${portName}`] ?? declaredPort(spec, portName));
  const address = status?.podIP;
  const hasEnded = status?.phase === 'Succeeded' || status?.phase === 'Failed';
  if (address === undefined || hasEnded || !(port > 0 && port <= 65_535)) return [];
  const isReady = status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false;
  const isLeaving = metadata?.deletionTimestamp !== undefined || interruptionAnnotation in annotations;
  const sync = annotations[inSyncAnnotation];
  return [
    {
      id: metadata?.uid ?? `${metadata?.namespace}/${metadata?.name}`,
      address,
      port,
      readiness: isLeaving ? 'terminating' : isReady ? 'ready' : 'starting',
      isInSync: sync === undefined ? undefined : sync === 'true',
      deadlineMs: parseInstant(annotations[deadlineAnnotation]) ?? deletionMs(metadata?.deletionTimestamp),
    },
  ];
}

/**
 * The container port of that name, as Kubernetes writes names: `SERVER_PORT` is `server-port` there. Without one, the
 * only UDP port of the pod.
 */
function declaredPort(spec: V1Pod['spec'], portName: string): number | undefined {
  const ports = spec?.containers.flatMap((container) => container.ports ?? []) ?? [];
  const containerName = portName.toLowerCase().replaceAll('_', '-');
  const named = ports.find(({ name }) => name === containerName);
  const udp = ports.filter(({ protocol }) => protocol === 'UDP');
  return named?.containerPort ?? (udp.length === 1 ? udp[0]?.containerPort : undefined);
}

/** Kubernetes sets the deletion timestamp to the end of the grace period. */
function deletionMs(deletionTimestamp: Date | string | undefined): number | undefined {
  return deletionTimestamp === undefined ? undefined : new Date(deletionTimestamp).getTime();
}
