import {
  conditionOf,
  isPodFinished,
  type Node,
  type Pod,
  type Taint,
  type Toleration,
  timestamp,
  withCondition,
} from '../objects.ts';
import { bind } from '../registry/binding.ts';
import type { Registry } from '../registry/registry.ts';
import { nodes, pods } from '../registry/table.ts';
import { reconcileOnChange, type Stop } from './reconcile.ts';

/**
 * Gives each pod without a node the fitting node with the fewest pods. It checks readiness, cordon, taints,
 * nodeSelector, host ports and the number of pods, but not affinity, spread constraints or resources.
 */
export function schedulePods(registry: Registry): Stop {
  return reconcileOnChange(registry, [pods, nodes], () => {
    const all = registry.store.list(pods);
    const waiting = all.filter(isWaiting);
    if (waiting.length === 0) return;
    const candidates = registry.store.list(nodes);
    const placed = all.filter((pod) => pod.spec.nodeName !== undefined && !isPodFinished(pod));
    for (const pod of waiting) {
      const node = chooseNode(pod, candidates, placed);
      const { namespace = '', name } = pod.metadata;
      if (node === undefined) markUnschedulable(registry, pod, candidates.length);
      else placed.push(bind(registry, namespace, name, node.metadata.name));
    }
  });
}

function isWaiting({ metadata, spec }: Pod): boolean {
  return (
    spec.nodeName === undefined &&
    metadata.deletionTimestamp === undefined &&
    spec['schedulerName'] === 'default-scheduler' &&
    spec['schedulingGates'] === undefined
  );
}

/** The fitting node with the fewest of the `placed` pods; the first one if several are equal. */
export function chooseNode(pod: Pod, candidates: readonly Node[], placed: readonly Pod[]): Node | undefined {
  const fitting = candidates
    .map((node) => ({ node, guests: placed.filter((other) => other.spec.nodeName === node.metadata.name) }))
    .filter(({ node, guests }) => fits(pod, node, guests));
  return fitting.reduce<(typeof fitting)[number] | undefined>(
    (best, one) => (best === undefined || one.guests.length < best.guests.length ? one : best),
    undefined,
  )?.node;
}

function fits(pod: Pod, node: Node, guests: readonly Pod[]): boolean {
  const { nodeSelector = {}, tolerations = [] } = pod.spec;
  const labels = node.metadata.labels ?? {};
  const ready = conditionOf(node.status.conditions, 'Ready');
  // A cordon's taint follows a moment after the cordon, and the real scheduler does not wait for it.
  const cordon: Taint[] = node.spec.unschedulable
    ? [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }]
    : [];
  const room = Number(node.status.allocatable?.['pods'] ?? Number.POSITIVE_INFINITY);
  return (
    (ready === undefined || ready.status === 'True') &&
    guests.length < room &&
    Object.entries(nodeSelector).every(([key, value]) => labels[key] === value) &&
    [...cordon, ...(node.spec.taints ?? [])].every((taint) => isTolerated(taint, tolerations)) &&
    !sharesHostPort(pod, guests)
  );
}

export function isTolerated(taint: Taint, tolerations: readonly Toleration[]): boolean {
  if (taint.effect === 'PreferNoSchedule') return true;
  return tolerations.some(
    ({ key, operator = 'Equal', value = '', effect }) =>
      (effect === undefined || effect === taint.effect) &&
      (key === undefined ? operator === 'Exists' : key === taint.key) &&
      (operator === 'Exists' || value === (taint.value ?? '')),
  );
}

function sharesHostPort(pod: Pod, guests: readonly Pod[]): boolean {
  const taken = new Set(guests.flatMap(hostPorts));
  return hostPorts(pod).some((port) => taken.has(port));
}

function hostPorts({ spec }: Pod): string[] {
  const ports = spec.containers.flatMap((container) => container.ports ?? []);
  return ports.flatMap(({ hostPort, protocol = 'TCP' }) => (hostPort === undefined ? [] : [`${protocol}/${hostPort}`]));
}

function markUnschedulable(registry: Registry, pod: Pod, nodeCount: number): void {
  const { namespace, name } = pod.metadata;
  const message = `0/${nodeCount} nodes are available`;
  if (conditionOf(pod.status.conditions, 'PodScheduled')?.message === message) return;
  const conditions = withCondition(pod.status.conditions, {
    type: 'PodScheduled',
    status: 'False',
    lastProbeTime: null,
    lastTransitionTime: timestamp(registry.now()),
    reason: 'Unschedulable',
    message,
  });
  const change = (current: Pod): Pod => ({ ...current, status: { ...current.status, conditions } });
  registry.update(pods, namespace, name, change, { subresource: 'status' });
}
