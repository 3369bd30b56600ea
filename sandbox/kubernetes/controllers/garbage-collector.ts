import { dependentsOf } from '../registry/dependents.ts';
import type { Registry } from '../registry/registry.ts';
import { resources } from '../registry/table.ts';
import { Refusal } from '../status-errors.ts';
import type { Stop } from './reconcile.ts';

/** Deletes objects whose owners were all deleted. */
export function collectGarbage(registry: Registry): Stop {
  const uids = new Set<string>();
  let scheduled: NodeJS.Immediate | undefined;
  const run = (): void => {
    scheduled = undefined;
    const gone = [...uids];
    uids.clear();
    for (const uid of gone) collect(registry, uid);
  };
  const unsubscribes = resources.map((one) =>
    registry.store.subscribe(one, ({ type, object }) => {
      if (type !== 'DELETED') return;
      uids.add(object.metadata.uid);
      scheduled ??= setImmediate(run);
    }),
  );
  return () => {
    for (const unsubscribe of unsubscribes) unsubscribe();
    if (scheduled !== undefined) clearImmediate(scheduled);
  };
}

function collect(registry: Registry, uid: string): void {
  for (const { of, object } of dependentsOf(registry.store, resources, uid)) {
    const { namespace, name, ownerReferences = [] } = object.metadata;
    const left = ownerReferences.filter((owner) => owner.uid !== uid);
    try {
      if (left.length === 0) registry.delete(of, namespace, name);
      else {
        registry.update(of, namespace, name, (current) => ({
          ...current,
          metadata: { ...current.metadata, ownerReferences: left },
        }));
      }
    } catch (error) {
      // An earlier deletion in this round may have removed the object too.
      if (!(error instanceof Refusal)) throw error;
    }
  }
}
