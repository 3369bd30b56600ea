import type { HelloMessage } from '../../shared/link/link-message.ts';
import type { PodView } from '../drain/pod.ts';

/**
 * Whether a wrapper is the pod that it says it is. `unproven`: it names a pod of this node and brings no proof, as one
 * that cannot tell us from a stranger. `unknown`: it cannot be told now, and may be asked again.
 */
export type Verdict =
  | { readonly kind: 'own-pod' }
  | { readonly kind: 'unproven' }
  | { readonly kind: 'stranger'; readonly reason: string }
  | { readonly kind: 'unknown' };

/** What the API server says of a token. */
export type TokenVerdict =
  | { readonly kind: 'pod'; readonly podUid: string; readonly namespace: string; readonly podName: string }
  | { readonly kind: 'refused'; readonly reason: string };

export interface VerifyParts {
  /** Undefined until they are known. */
  readonly pods: () => readonly PodView[] | undefined;
  /** Rejects without an answer. Undefined: a pod of this node is believed without a token. */
  readonly reviewToken: ((token: string, signal: AbortSignal) => Promise<TokenVerdict>) | undefined;
}

/**
 * The pod must be one of this node's, which costs no call, and its service-account token must be bound to it, which
 * costs one. Strangers are found out before any call is made for them.
 */
export async function verifyHello(
  { pods, reviewToken }: VerifyParts,
  hello: HelloMessage,
  signal: AbortSignal,
): Promise<Verdict> {
  const { pod_uid: uid, pod, namespace, token } = hello;
  if (uid === undefined) return stranger('it names no pod uid');
  const known = pods();
  const own = known?.find((candidate) => candidate.uid === uid);
  // A pod that has just started may be ahead of the watch.
  if (own === undefined) return { kind: 'unknown' };
  if (own.name !== pod || own.namespace !== namespace) return stranger('the pod of that uid has another name');
  if (reviewToken === undefined) return { kind: 'own-pod' };
  if (token === undefined) return { kind: 'unproven' };
  try {
    const verdict = await reviewToken(token, signal);
    if (verdict.kind === 'refused') return stranger(verdict.reason);
    const isBound = verdict.podUid === uid && verdict.podName === pod && verdict.namespace === namespace;
    return isBound ? { kind: 'own-pod' } : stranger('its token belongs to another pod');
  } catch {
    return { kind: 'unknown' };
  }
}

/** Whether it names a pod of this node, as far as the pods are known. This costs no call and proves nothing. */
export function namesPodOfNode(
  pods: readonly PodView[] | undefined,
  { pod_uid: uid, pod, namespace }: HelloMessage,
): boolean {
  if (uid === undefined) return false;
  if (pods === undefined) return true;
  return pods.some((known) => known.uid === uid && known.name === pod && known.namespace === namespace);
}

function stranger(reason: string): Verdict {
  return { kind: 'stranger', reason };
}
