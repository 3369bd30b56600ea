import type { Registry } from '../registry/registry.ts';
import { rollOutDeployments } from './deployment.ts';
import { countDisruptions } from './disruption.ts';
import { collectGarbage } from './garbage-collector.ts';
import { tendNamespaces } from './namespace-lifecycle.ts';
import { collectLostPods } from './pod-garbage.ts';
import type { Stop } from './reconcile.ts';
import { keepReplicas } from './replica-set.ts';
import { schedulePods } from './scheduler.ts';
import { taintUnschedulableNodes } from './unschedulable-taint.ts';

/** The controllers of a control plane that work without a kubelet. */
export type ControllerName =
  | 'deployment'
  | 'disruption'
  | 'garbage-collector'
  | 'namespace'
  | 'pod-garbage'
  | 'replica-set'
  | 'scheduler'
  | 'unschedulable-taint';

export interface ControllersOptions {
  /** Default: all. */
  readonly run?: readonly ControllerName[];
  readonly podGarbageMs?: number;
}

/** The real controller waits 40 s before it treats a node as gone for good, and checks every 20 s. */
const defaultPodGarbageMs = 40_000;

export function startControllers(registry: Registry, options: ControllersOptions): Stop {
  const start: Readonly<Record<ControllerName, () => Stop>> = {
    deployment: () => rollOutDeployments(registry),
    disruption: () => countDisruptions(registry),
    'garbage-collector': () => collectGarbage(registry),
    namespace: () => tendNamespaces(registry),
    'pod-garbage': () => collectLostPods(registry, options.podGarbageMs ?? defaultPodGarbageMs),
    'replica-set': () => keepReplicas(registry),
    scheduler: () => schedulePods(registry),
    'unschedulable-taint': () => taintUnschedulableNodes(registry),
  };
  const stops = Object.entries(start)
    .filter(([name]) => options.run === undefined || options.run.includes(name as ControllerName))
    .map(([, begin]) => begin());
  return () => {
    for (const stop of stops) stop();
  };
}
