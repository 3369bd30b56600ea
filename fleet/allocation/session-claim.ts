import { createHash } from 'node:crypto';
import { sessionAnnotation } from '../../shared/fleet-names.ts';
import { refusal } from '../../shared/kubernetes/kube-answer.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import type { GameServerPod } from '../cluster/game-server-pod.ts';
import { leasesPath, mergePatch } from '../cluster/kube-paths.ts';

/**
 * Records which pod has the session of a caller's own id. Two replicas may get the same session at the same time, or
 * one after the other if an answer was lost. They must not take two pods, so the API server lets only one of them
 * create the object of that name. The garbage collector removes it with the pod.
 */
export interface SessionClaim {
  readonly podName: string;
  readonly podUid: string;
  readonly resourceVersion: string;
}

interface Lease {
  readonly metadata?: {
    readonly name?: string;
    readonly resourceVersion?: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: ReadonlyArray<{ readonly name: string; readonly uid: string }>;
  };
}

/** Claims the pod for us (`isNew`), or returns the one that was chosen before. Throws a KubeError. */
export async function claimSession(
  connection: KubeConnection,
  sessionId: string,
  pod: GameServerPod,
  signal: AbortSignal,
): Promise<SessionClaim & { readonly isNew: boolean }> {
  const path = leasesPath(pod.namespace);
  const name = claimName(sessionId);
  // The garbage collector may have removed the old claim between the refused create and our read.
  for (;;) {
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, ...claimMetadata(sessionId, pod) },
      spec: {},
    };
    const created = await connection.request({ method: 'POST', path, body, signal });
    if (created.status === 201) return { ...readClaim(created.body), isNew: true };
    if (created.status !== 409) throw refusal('claim session', created);
    const found = await connection.request({ method: 'GET', path: `${path}/${name}`, signal });
    if (found.status === 200) return { ...readClaim(found.body), isNew: false };
    if (found.status !== 404) throw refusal('read the claim of a session', found);
  }
}

/** Moves a claim whose pod is unavailable to another pod. False if another writer did so first. Throws a KubeError. */
export async function moveClaim(
  connection: KubeConnection,
  sessionId: string,
  claim: SessionClaim,
  pod: GameServerPod,
  signal: AbortSignal,
): Promise<boolean> {
  const answer = await connection.request({
    method: 'PATCH',
    path: `${leasesPath(pod.namespace)}/${claimName(sessionId)}`,
    contentType: mergePatch,
    body: { metadata: { resourceVersion: claim.resourceVersion, ...claimMetadata(sessionId, pod) } },
    signal,
  });
  if (answer.status === 200) return true;
  if (answer.status === 409 || answer.status === 404) return false;
  throw refusal('move the claim of a session', answer);
}

/** Hash the session id: it may be longer than an object's name and use other characters. */
export function claimName(sessionId: string): string {
  return `spotable-session-${createHash('sha256').update(sessionId).digest('hex').slice(0, 40)}`;
}

function claimMetadata(sessionId: string, { name, uid }: GameServerPod): object {
  return {
    labels: { 'app.kubernetes.io/part-of': 'spotable' },
    annotations: { [sessionAnnotation]: sessionId },
    ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name, uid }],
  };
}

function readClaim(body: unknown): SessionClaim {
  const { metadata } = Object(body) as Lease;
  const owner = metadata?.ownerReferences?.[0];
  return {
    podName: owner?.name ?? '',
    podUid: owner?.uid ?? '',
    resourceVersion: metadata?.resourceVersion ?? '',
  };
}
