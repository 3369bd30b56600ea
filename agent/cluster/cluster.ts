import type { PodView } from '../drain/pod.ts';
import type { NodeView } from '../node-state/node-mark.ts';

/** The outcome of an eviction. */
export type EvictOutcome =
  | { readonly kind: 'accepted' }
  /** The API server has no such pod, or a different one of that name: ours is gone. */
  | { readonly kind: 'gone' }
  /**
   * `budget`: a budget refuses (429), or two budgets on one pod make a decision impossible (500). `other`: an admission
   * webhook, a policy or a missing right. Both concern this pod alone.
   */
  | {
      readonly kind: 'refused';
      readonly by: 'budget' | 'other';
      readonly reason: string;
      readonly retryAfterMs: number | undefined;
    }
  /** The API server, or a proxy in front of it, is too busy for any call. */
  | { readonly kind: 'busy'; readonly retryAfterMs: number | undefined };

export type DeleteOutcome = EvictOutcome;

export type PatchOutcome =
  | { readonly kind: 'patched'; readonly node: NodeView }
  /** Another client wrote in between: read and decide again. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'gone' };

/**
 * This node and its pods in Kubernetes. Reads come from a watch and need no request. Every call has a time limit, and
 * throws a `KubeError` if the API server is unreachable or its response is none of the outcomes above.
 */
export interface Cluster {
  /** undefined: not seen yet. */
  node(): NodeView | undefined;
  /** undefined: not listed yet, which is different from having no pods. */
  pods(): readonly PodView[] | undefined;
  /** Resolves at the next change of the node or its pods. */
  changed(): Promise<void>;
  /** The watch may lag behind: it is reopened from the same resourceVersion. Two calls, or one for the pods alone. */
  doubt(what?: 'all' | 'pods'): void;
  /**
   * Lists the pods now, whatever the watch shows; afterwards {@link pods} returns them. One call, or two if the watch
   * lagged behind.
   */
  listPods(signal: AbortSignal): Promise<readonly PodView[]>;
  readNode(signal: AbortSignal): Promise<NodeView | undefined>;
  /** A strategic merge patch that applies only to that resourceVersion. */
  patchNode(patch: object, resourceVersion: string, signal: AbortSignal): Promise<PatchOutcome>;
  evict(pod: PodView, gracePeriodSeconds: number, signal: AbortSignal): Promise<EvictOutcome>;
  deletePod(pod: PodView, gracePeriodSeconds: number, signal: AbortSignal): Promise<DeleteOutcome>;
}
