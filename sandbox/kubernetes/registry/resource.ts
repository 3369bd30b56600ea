import type { KubeObject } from '../objects.ts';
import type { Cause, Named } from '../status-errors.ts';
import type { Collection } from '../storage/store.ts';

/**
 * The specifics of one resource. All functions are pure. `prepare...` may modify the given object; `validate` returns
 * reasons for a refusal with 422.
 */
export interface Strategy<T extends KubeObject> {
  /** Sets defaults for a create, and drops fields that a create cannot set. */
  prepareCreate?(object: T, nowMs: number): T;
  prepareUpdate?(next: T, current: T): T;
  validate?(object: T): Cause[];
  validateUpdate?(next: T, current: T): Cause[];
}

export interface Resource<T extends KubeObject = KubeObject> extends Collection<T>, Named {
  /** '' is the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** As in paths: pods. */
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  /** The schema's name for its objects. */
  readonly model: string;
  readonly subresources: readonly Subresource[];
  /** Field selectors besides metadata.name and metadata.namespace. */
  readonly selectable: readonly string[];
  /** Objects count the changes of their spec in metadata.generation. */
  readonly hasGeneration: boolean;
  /** DELETE answers with the object, where other resources answer with a Status. */
  readonly deleteAnswersObject: boolean;
  readonly strategy: Strategy<T>;
}

export type Subresource = 'status' | 'scale' | 'eviction' | 'binding' | 'token';

type Optional = 'storage' | 'shortNames' | 'subresources' | 'selectable' | 'hasGeneration';
type Given<T extends KubeObject> = Omit<
  Resource<T>,
  Optional | 'deleteAnswersObject' | 'strategy' | 'model' | 'shape'
> &
  Partial<Pick<Resource<T>, Optional | 'deleteAnswersObject' | 'strategy' | 'model'>>;

/** Builds a resource from its unusual properties only. */
export function resource<T extends KubeObject = KubeObject>(given: Given<T>): Resource<T> {
  return {
    storage: given.group === '' ? given.plural : `${given.plural}.${given.group}`,
    model: `${given.version[0]?.toUpperCase()}${given.version.slice(1)}${given.kind}`,
    shortNames: [],
    subresources: [],
    selectable: [],
    hasGeneration: false,
    deleteAnswersObject: false,
    strategy: {},
    ...given,
  };
}

export function apiVersionOf(of: { readonly group: string; readonly version: string }): string {
  return of.group === '' ? of.version : `${of.group}/${of.version}`;
}
