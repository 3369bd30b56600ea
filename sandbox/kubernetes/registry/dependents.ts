import type { KubeObject } from '../objects.ts';
import type { Store } from '../storage/store.ts';
import type { Resource } from './resource.ts';

export interface Dependent {
  readonly of: Resource;
  readonly object: KubeObject;
}

/** The objects of these resources with the uid among their owners. */
export function dependentsOf(store: Store, among: readonly Resource[], uid: string): Dependent[] {
  return among.flatMap((of) =>
    store
      .list(of)
      .filter(({ metadata }) => metadata.ownerReferences?.some((owner) => owner.uid === uid))
      .map((object) => ({ of, object })),
  );
}
