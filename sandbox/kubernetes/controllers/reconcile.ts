import type { KubeObject } from '../objects.ts';
import type { Registry } from '../registry/registry.ts';
import { Refusal } from '../status-errors.ts';
import type { Collection } from '../storage/store.ts';

/** Ends a controller. */
export type Stop = () => void;

/**
 * Calls `reconcile` after the resources have changed, and once at the start: not within the request that changed them,
 * whose answer shows nothing of it yet, and once for changes that came together. It looks at everything and brings the
 * objects a step nearer to what they should be; its own writes make it run again until there is nothing left to do.
 */
export function reconcileOnChange(
  registry: Registry,
  watched: readonly Collection<KubeObject>[],
  reconcile: () => void,
): Stop {
  let scheduled: NodeJS.Immediate | undefined;
  const run = (): void => {
    scheduled = undefined;
    try {
      reconcile();
    } catch (error) {
      // Refused, by a namespace that is closing for instance: the next change is the next try.
      if (!(error instanceof Refusal)) throw error;
    }
  };
  const schedule = (): void => {
    scheduled ??= setImmediate(run);
  };
  const unsubscribes = watched.map((collection) => registry.store.subscribe(collection, schedule));
  schedule();
  return () => {
    for (const unsubscribe of unsubscribes) unsubscribe();
    if (scheduled !== undefined) clearImmediate(scheduled);
  };
}
