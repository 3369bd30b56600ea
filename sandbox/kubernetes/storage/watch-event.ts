import type { KubeObject } from '../objects.ts';
import type { Change } from './store.ts';

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
}

export type Selects = (object: KubeObject) => boolean;

/**
 * The event that a watcher with that selection sees for a change: an object that enters the selection is ADDED; one
 * that leaves it is DELETED, with the last state that matched and the resourceVersion of the change. Undefined: no
 * event.
 */
export function watchEvent(change: Change, selects: Selects): WatchEvent | undefined {
  const before = change.previous;
  const fitted = before !== undefined && selects(before);
  if (change.type === 'DELETED') return fitted ? { type: 'DELETED', object: change.object } : undefined;
  const fits = selects(change.object);
  if (fits) return { type: fitted ? 'MODIFIED' : 'ADDED', object: change.object };
  if (!fitted) return undefined;
  const { resourceVersion } = change.object.metadata;
  return { type: 'DELETED', object: { ...before, metadata: { ...before.metadata, resourceVersion } } };
}
