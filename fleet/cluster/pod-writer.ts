import type { V1Pod } from '@kubernetes/client-node';
import { refusal } from '../../shared/kubernetes/kube-answer.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import { type GameServerPod, readPod } from './game-server-pod.ts';
import { mergePatch, podPath } from './kube-paths.ts';

/** The result of a change to a pod. */
export type PodWrite =
  | { readonly kind: 'written'; readonly pod: GameServerPod }
  /** Another writer changed it in between. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'gone' };

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** Throws a KubeError if no answer comes in time, or if the API server refuses for another reason. */
export async function patchPod(
  connection: KubeConnection,
  pod: PodName,
  patch: object,
  signal: AbortSignal,
): Promise<PodWrite> {
  const answer = await connection.request({
    method: 'PATCH',
    path: podPath(pod),
    contentType: mergePatch,
    body: patch,
    signal,
  });
  const { status, body } = answer;
  if (status === 404) return { kind: 'gone' };
  if (status === 409) return { kind: 'conflict' };
  const written = status === 200 ? readPod(body as V1Pod) : undefined;
  if (written === undefined) throw refusal(`patch pod ${pod.namespace}/${pod.name}`, answer);
  return { kind: 'written', pod: written };
}

/** Undefined if there is no such pod. Throws a KubeError. */
export async function getPod(
  connection: KubeConnection,
  pod: PodName,
  signal: AbortSignal,
): Promise<GameServerPod | undefined> {
  const answer = await connection.request({ method: 'GET', path: podPath(pod), signal });
  const { status, body } = answer;
  if (status === 404) return undefined;
  const found = status === 200 ? readPod(body as V1Pod) : undefined;
  if (found === undefined) throw refusal(`read pod ${pod.namespace}/${pod.name}`, answer);
  return found;
}

/** Deletes exactly this pod, never a new one of the same name. Throws a KubeError. */
export async function deletePod(connection: KubeConnection, pod: GameServerPod, signal: AbortSignal): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: pod.uid } };
  const answer = await connection.request({ method: 'DELETE', path: podPath(pod), body, signal });
  if (answer.status >= 300 && answer.status !== 404 && answer.status !== 409)
    throw refusal(`delete pod ${pod.namespace}/${pod.name}`, answer);
}
