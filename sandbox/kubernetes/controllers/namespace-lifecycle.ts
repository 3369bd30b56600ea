import type { Namespace } from '../objects.ts';
import type { Registry } from '../registry/registry.ts';
import { namespaces, resources, serviceAccounts } from '../registry/table.ts';
import { reconcileOnChange, type Stop } from './reconcile.ts';

const namespaced = resources.filter((one) => one.namespaced);

/** Gives each namespace its `default` service account, and empties deleted namespaces until they can go. */
export function tendNamespaces(registry: Registry): Stop {
  return reconcileOnChange(registry, [namespaces, ...namespaced], () => {
    for (const namespace of registry.store.list(namespaces)) {
      if (namespace.metadata.deletionTimestamp === undefined) giveServiceAccount(registry, namespace);
      else close(registry, namespace);
    }
  });
}

function giveServiceAccount(registry: Registry, { metadata: { name: namespace } }: Namespace): void {
  if (registry.store.get(serviceAccounts, namespace, 'default') !== undefined) return;
  registry.create(serviceAccounts, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default', namespace },
  });
}

function close(registry: Registry, namespace: Namespace): void {
  const { name } = namespace.metadata;
  if (namespace.status.phase !== 'Terminating') {
    registry.store.put(namespaces, { ...namespace, status: { phase: 'Terminating' } });
    return;
  }
  const content = namespaced.flatMap((of) => registry.store.list(of, name).map((object) => ({ of, object })));
  for (const { of, object } of content) {
    if (object.metadata.deletionTimestamp === undefined) registry.delete(of, name, object.metadata.name);
  }
  if (content.length === 0) registry.store.remove(namespaces, { ...namespace, spec: {} });
}
