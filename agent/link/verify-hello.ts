import type { HelloMessage } from '../../shared/link/link-message.ts';
import type { PodView } from '../drain/pod.ts';

/**
 * Whether a wrapper is the pod that it claims to be. `unproven`: it names a pod of this node without proof, as a
 * wrapper does that cannot tell the agent from a stranger. `unknown`: undecidable now; ask again later.
 */
export type Verdict =
  | { readonly kind: 'own-pod' }
  | { readonly kind: 'unproven' }
  | { readonly kind: 'stranger'; readonly reason: string }
  | { readonly kind: 'unknown' };

/** The API server's verdict on a token. */
export type TokenVerdict =
  | { readonly kind: 'pod'; readonly podUid: string; readonly namespace: string; readonly podName: string }
  | { readonly kind: 'refused'; readonly reason: string };

export interface VerifyParts {
  /** undefined: not known yet. */
  readonly pods: () => readonly PodView[] | undefined;
  /** Rejects if there is no verdict. undefined: a pod of this node is trusted without a token. */
  readonly reviewToken: ((token: string, signal: AbortSignal) => Promise<TokenVerdict>) | undefined;
}

/**
 * The pod must be on this node, which needs no call, and its service-account token must be bound to it, which needs
 * one. Strangers are rejected before any call.
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
  // The watch may not show a pod yet that has just started.
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

/** Whether it names a known pod of this node. This needs no call and proves nothing. */
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
