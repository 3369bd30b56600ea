import type { KubeObject } from '../objects.ts';
import type { Registry } from '../registry/registry.ts';
import { Refusal } from '../status-errors.ts';
import type { Collection } from '../storage/store.ts';

/** Ends a controller. */
export type Stop = () => void;

/**
 * Calls `reconcile` after the resources have changed, and once at the start. The call comes after the request that made
 * the change, whose answer does not show its effects, and once for several changes in a row. `reconcile` looks at
 * everything and brings the objects one step nearer to their wanted state; its own writes make it run again until
 * nothing is left to do.
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
      // A write was refused, for example by a closing namespace: retry at the next change.
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
