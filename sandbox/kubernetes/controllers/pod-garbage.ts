import { type Pod, timestamp, withCondition } from '../objects.ts';
import type { Registry } from '../registry/registry.ts';
import { nodes, pods } from '../registry/table.ts';
import { reconcileOnChange, type Stop } from './reconcile.ts';

/**
 * Removes pods of deleted nodes, `afterMs` after it first saw them without a node: nobody else would confirm their end.
 * The pods become Failed first, so that watchers learn that they did not end by themselves.
 */
export function collectLostPods(registry: Registry, afterMs: number): Stop {
  const dueByUid = new Map<string, NodeJS.Timeout>();
  const stop = reconcileOnChange(registry, [pods, nodes], () => {
    const known = new Set(registry.store.list(nodes).map(({ metadata }) => metadata.name));
    const lost = registry.store
      .list(pods)
      .filter(({ spec }) => spec.nodeName !== undefined && !known.has(spec.nodeName));
    const lostUids = new Set(lost.map(({ metadata }) => metadata.uid));
    for (const [uid, timer] of dueByUid) {
      if (lostUids.has(uid)) continue;
      clearTimeout(timer);
      dueByUid.delete(uid);
    }
    for (const { metadata } of lost) {
      if (dueByUid.has(metadata.uid)) continue;
      dueByUid.set(
        metadata.uid,
        setTimeout(() => collect(registry, metadata.namespace, metadata.name, metadata.uid), afterMs),
      );
    }
  });
  return () => {
    stop();
    for (const timer of dueByUid.values()) clearTimeout(timer);
  };
}

function collect(registry: Registry, namespace: string | undefined, name: string, uid: string): void {
  if (registry.store.get(pods, namespace, name)?.metadata.uid !== uid) return;
  const failed = (pod: Pod): Pod => {
    const conditions = withCondition(pod.status.conditions, {
      type: 'DisruptionTarget',
      status: 'True',
      lastProbeTime: null,
      lastTransitionTime: timestamp(registry.now()),
      reason: 'DeletionByPodGC',
      message: 'PodGC: node no longer exists',
    });
    return { ...pod, status: { ...pod.status, phase: 'Failed', conditions } };
  };
  registry.update(pods, namespace, name, failed, { subresource: 'status' });
  registry.delete(pods, namespace, name, { gracePeriodSeconds: 0 });
}
