import type { CoreV1Api, KubeConfig, V1Pod, Watch } from '@kubernetes/client-node';
import { type Backoff, backoffMs } from '../../shared/backoff.ts';
import type { Clock } from '../../shared/clock.ts';
import { parseInstant } from '../../shared/interruption/interruption.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { NewCauses } from '../../shared/new-causes.ts';
import type { Upstream } from '../election/upstream.ts';
import type { UpstreamSource } from './source.ts';

export interface PodUpstreamsOptions {
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

const backoff: Backoff = { firstMs: 200, maxMs: 5000 };
/** The API server ends a watch after this time. The next list also repairs a missed event. */
const watchSeconds = 290;

/**
 * Lists and watches the pods of a label selector. Needs `list` and `watch` on pods of the namespace. The Kubernetes
 * client is imported lazily, because it needs more memory than the rest of the proxy.
 */
export function podUpstreams(options: PodUpstreamsOptions): UpstreamSource {
  const { clock, log, labelSelector } = options;
  return {
    run: async (report, signal) => {
      const kubernetes = await import('@kubernetes/client-node');
      const config = new kubernetes.KubeConfig();
      config.loadFromDefault();
      const api = config.makeApiClient(kubernetes.CoreV1Api);
      const watch = new kubernetes.Watch(config);
      let failures = 0;
      const causes = new NewCauses();
      while (!signal.aborted) {
        try {
          await followPods({ ...options, api, watch, config }, report, signal);
          failures = 0;
          causes.clear();
        } catch (error) {
          if (signal.aborted) return;
          failures++;
          const err = errorText(error);
          if (causes.isNew(err)) log.warn({ labelSelector, err }, 'Cannot watch the pods of the replicas');
        }
        if (failures > 0) await clock.sleep(backoffMs(backoff, failures, Math.random), signal).catch(() => {});
      }
    },
  };
}

interface Following extends PodUpstreamsOptions {
  readonly api: CoreV1Api;
  readonly watch: Watch;
  readonly config: KubeConfig;
}

/** One list and one watch. Resolves when the API server ends the watch; rejects on any failure. */
async function followPods(
  { api, watch, namespace, labelSelector, portName }: Following,
  report: (upstreams: readonly Upstream[]) => void,
  signal: AbortSignal,
): Promise<void> {
  const list = await api.listNamespacedPod({ namespace, labelSelector });
  const pods = new Map(list.items.map((pod) => [pod.metadata?.uid ?? '', pod]));
  const tell = () => report([...pods.values()].flatMap((pod) => podUpstream(pod, portName)));
  tell();
  const ended = Promise.withResolvers<void>();
  const query = { labelSelector, resourceVersion: list.metadata?.resourceVersion, timeoutSeconds: watchSeconds };
  const stop = await watch.watch(
    `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`,
    query,
    (phase: string, pod: V1Pod) => {
      // ERROR carries a Status, such as 410 (resource version too old): list again.
      if (phase === 'ERROR') return ended.reject(new Error(`watch: ${JSON.stringify(pod)}`));
      if (phase === 'DELETED') pods.delete(pod.metadata?.uid ?? '');
      else pods.set(pod.metadata?.uid ?? '', pod);
      tell();
    },
    (error: unknown) => (error ? ended.reject(error as Error) : ended.resolve()),
  );
  const abort = () => {
    stop.abort();
    ended.resolve();
  };
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    await ended.promise;
  } finally {
    signal.removeEventListener('abort', abort);
    stop.abort();
  }
}

/** Empty if the pod has no address or port yet, or has ended. */
export function podUpstream({ metadata, status, spec }: V1Pod, portName: string): readonly Upstream[] {
  const annotations = metadata?.annotations ?? {};
  const declared = spec?.containers.flatMap(({ ports }) => ports ?? []).find(({ name }) => name === portName);
  const port = Number(annotations[`${portAnnotationPrefix}${portName}`] ?? declared?.containerPort);
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

/** Kubernetes sets the deletion timestamp to the end of the grace period. */
function deletionMs(deletionTimestamp: Date | string | undefined): number | undefined {
  return deletionTimestamp === undefined ? undefined : new Date(deletionTimestamp).getTime();
}
