import type { PodView } from '../drain/pod.ts';
import type { NodeView } from '../node-state/node-mark.ts';

/** What became of an eviction. */
export type EvictOutcome =
  | { readonly kind: 'accepted' }
  /** The API server has no such pod, or another one of that name: the one we meant is gone. */
  | { readonly kind: 'gone' }
  /**
   * `budget`: a budget says no (429), or two budgets over one pod make a decision impossible (500). `other`: an
   * admission webhook, a policy or the lack of a right. Either is about this pod alone.
   */
  | {
      readonly kind: 'refused';
      readonly by: 'budget' | 'other';
      readonly reason: string;
      readonly retryAfterMs: number | undefined;
    }
  /** The API server, or something before it, has no time for any call now. */
  | { readonly kind: 'busy'; readonly retryAfterMs: number | undefined };

export type DeleteOutcome = EvictOutcome;

export type PatchOutcome =
  | { readonly kind: 'patched'; readonly node: NodeView }
  /** Somebody else wrote in between: read again, decide again. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'gone' };

/**
 * This node and its pods in Kubernetes. Reads come from a warm watch and cost no request; every call has a time limit,
 * and throws a `KubeError` where the API server cannot be reached, or answers with what is no outcome above.
 */
export interface Cluster {
  /** Undefined until it was seen for the first time. */
  node(): NodeView | undefined;
  /** Undefined until they were listed for the first time: not knowing them is not having none. */
  pods(): readonly PodView[] | undefined;
  /** Resolves at the next change of the node or its pods after the call. */
  changed(): Promise<void>;
  /**
   * What the watch shows may be older than what is: it is opened anew, from the same place. Two calls, or one for the
   * pods alone.
   */
  doubt(what?: 'all' | 'pods'): void;
  /**
   * Lists the pods now, whatever the watch shows; {@link pods} shows them from then on. One call, or two where the
   * watch was behind.
   */
  listPods(signal: AbortSignal): Promise<readonly PodView[]>;
  readNode(signal: AbortSignal): Promise<NodeView | undefined>;
  /** A strategic merge patch that applies only to that state of the node. */
  patchNode(patch: object, resourceVersion: string, signal: AbortSignal): Promise<PatchOutcome>;
  evict(pod: PodView, gracePeriodSeconds: number, signal: AbortSignal): Promise<EvictOutcome>;
  deletePod(pod: PodView, gracePeriodSeconds: number, signal: AbortSignal): Promise<DeleteOutcome>;
}
