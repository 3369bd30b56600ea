import { isPodFinished, type KubeObject, type ObjectMeta, type Pod, timestamp } from '../objects.ts';
import { preconditionFailed, Refusal } from '../status-errors.ts';
import type { Resource } from './resource.ts';

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly propagationPolicy?: string;
}

export type Deletion<T extends KubeObject> =
  | { readonly kind: 'unchanged' }
  /** The object stays for now, marked with its deadline. */
  | { readonly kind: 'mark'; readonly object: T }
  | { readonly kind: 'mark-and-remove'; readonly object: T }
  | { readonly kind: 'remove'; readonly object: T };

/**
 * The effect of a DELETE on an object. Only pods are deleted gracefully: they are marked with a deadline, and stay
 * until the kubelet deletes them with grace 0. A later DELETE can only move the deadline forward. Throws 409 if a
 * precondition does not hold.
 */
export function decideDeletion<T extends KubeObject>(
  of: Resource<T>,
  current: T,
  options: DeleteOptions,
  nowMs: number,
): Deletion<T> {
  refuseUnmetPreconditions(of, current.metadata, options);
  const { metadata } = current;
  const held = (metadata.finalizers ?? []).length > 0 || holdsContent(current);
  if (!isPod(current)) {
    if (!held) return { kind: 'remove', object: current };
    if (metadata.deletionTimestamp !== undefined) return { kind: 'unchanged' };
    return { kind: 'mark', object: marked(current, { deletionTimestamp: timestamp(nowMs), graceSeconds: 0 }) };
  }
  const mark = decideGrace(current, options.gracePeriodSeconds, nowMs);
  if (mark === undefined) return { kind: 'unchanged' };
  const object = marked(current, mark);
  return { kind: mark.graceSeconds === 0 && !held ? 'mark-and-remove' : 'mark', object };
}

interface Mark {
  readonly deletionTimestamp: string;
  readonly graceSeconds: number;
}

/** Undefined: the pod is already terminating, and no later than asked. */
function decideGrace(pod: KubeObject & Pod, askedSeconds: number | undefined, nowMs: number): Mark | undefined {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata;
  if (deletionTimestamp !== undefined) {
    if (askedSeconds === undefined) return undefined;
    const graceSeconds = graceFor(pod, askedSeconds);
    if (graceSeconds >= deletionGracePeriodSeconds) return undefined;
    // Counted from the first request, not from this one.
    const requestedMs = Date.parse(deletionTimestamp) - deletionGracePeriodSeconds * 1000;
    return { deletionTimestamp: timestamp(requestedMs + graceSeconds * 1000), graceSeconds };
  }
  const graceSeconds = graceFor(pod, askedSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 0);
  return { deletionTimestamp: timestamp(nowMs + graceSeconds * 1000), graceSeconds };
}

/** A pod without a node and a finished pod need no kubelet to confirm their end. A negative grace counts as 1. */
function graceFor(pod: Pod, seconds: number): number {
  if (pod.spec.nodeName === undefined || isPodFinished(pod)) return 0;
  return seconds < 0 ? 1 : seconds;
}

function marked<T extends KubeObject>(object: T, { deletionTimestamp, graceSeconds }: Mark): T {
  const { metadata } = object;
  const begins = metadata.deletionTimestamp === undefined && metadata.generation !== undefined;
  const generation = begins ? { generation: (metadata.generation ?? 0) + 1 } : {};
  const next: ObjectMeta = { ...metadata, ...generation, deletionTimestamp, deletionGracePeriodSeconds: graceSeconds };
  return { ...object, metadata: next };
}

function isPod(object: KubeObject): object is KubeObject & Pod {
  return object.kind === 'Pod';
}

/** A namespace goes when its content is gone: its finalizer is in the spec. */
function holdsContent(object: KubeObject): boolean {
  return (
    object.kind === 'Namespace' && ((object as { spec?: { finalizers?: string[] } }).spec?.finalizers ?? []).length > 0
  );
}

/** Whether an update has removed the last finalizer or content that held a deleted object. */
export function isReadyToGo(object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = object.metadata;
  return (
    deletionTimestamp !== undefined &&
    deletionGracePeriodSeconds === 0 &&
    finalizers.length === 0 &&
    !holdsContent(object)
  );
}

/** Throws 409 if the object is not the one that the caller means. */
export function refuseUnmetPreconditions(
  of: Resource<KubeObject>,
  metadata: ObjectMeta,
  { preconditions }: DeleteOptions,
): void {
  const { uid, resourceVersion } = preconditions ?? {};
  if (uid !== undefined && uid !== metadata.uid) {
    const cause = `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`;
    throw new Refusal(preconditionFailed(of, metadata.name, cause));
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const cause = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`;
    throw new Refusal(preconditionFailed(of, metadata.name, cause));
  }
}
