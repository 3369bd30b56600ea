import { isDeepStrictEqual } from 'node:util';
import type { Deployment, KubeObject, LabelSelector, PodTemplate, ReplicaSet } from '../../objects.ts';
import { type Cause, invalidValue, required } from '../../status-errors.ts';
import { labelSelector } from '../../storage/selectors.ts';
import type { Strategy } from '../resource.ts';
import { defaultPodSpec } from './pod-defaults.ts';

export const deploymentStrategy: Strategy<Deployment> = {
  prepareCreate: (deployment) => ({ ...withDeploymentDefaults(deployment), status: {} }),
  prepareUpdate: (next, current) => ({ ...withDeploymentDefaults(next), status: current.status }),
  validate: (deployment) => validateTemplate(deployment),
  validateUpdate: (next, current) => [...validateTemplate(next), ...validateSelectorKept(next, current)],
};

export const replicaSetStrategy: Strategy<ReplicaSet> = {
  prepareCreate: (set) => ({ ...withReplicaSetDefaults(set), status: { replicas: 0 } }),
  prepareUpdate: (next, current) => ({ ...withReplicaSetDefaults(next), status: current.status }),
  validate: (set) => validateTemplate(set),
  validateUpdate: (next, current) => [...validateTemplate(next), ...validateSelectorKept(next, current)],
};

export interface DaemonSet extends KubeObject {
  spec: { selector: LabelSelector; template: PodTemplate; [field: string]: unknown };
  status: { [field: string]: unknown };
}

export const daemonSetStrategy: Strategy<DaemonSet> = {
  prepareCreate: (set) => ({ ...withDaemonSetDefaults(set), status: emptyDaemonSetStatus }),
  prepareUpdate: (next, current) => ({ ...withDaemonSetDefaults(next), status: current.status }),
  validate: (set) => validateTemplate(set),
  validateUpdate: (next, current) => [...validateTemplate(next), ...validateSelectorKept(next, current)],
};

const emptyDaemonSetStatus: Readonly<Record<string, number>> = {
  currentNumberScheduled: 0,
  numberMisscheduled: 0,
  desiredNumberScheduled: 0,
  numberReady: 0,
};

function withTemplateDefaults(template: PodTemplate): PodTemplate {
  return { ...template, spec: defaultPodSpec({ ...template.spec, containers: template.spec?.containers ?? [] }) };
}

function withReplicaSetDefaults(set: ReplicaSet): ReplicaSet {
  return {
    ...set,
    spec: { ...set.spec, replicas: set.spec.replicas ?? 1, template: withTemplateDefaults(set.spec.template) },
  };
}

function withDeploymentDefaults(deployment: Deployment): Deployment {
  const { spec } = deployment;
  const type = spec.strategy?.type ?? 'RollingUpdate';
  const rollingUpdate = { maxUnavailable: '25%', maxSurge: '25%', ...spec.strategy?.rollingUpdate };
  return {
    ...deployment,
    spec: {
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      ...spec,
      replicas: spec.replicas ?? 1,
      strategy: type === 'RollingUpdate' ? { type, rollingUpdate } : { type },
      template: withTemplateDefaults(spec.template),
    } as Deployment['spec'],
  };
}

function withDaemonSetDefaults(set: DaemonSet): DaemonSet {
  return {
    ...set,
    spec: {
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
      revisionHistoryLimit: 10,
      ...set.spec,
      template: withTemplateDefaults(set.spec.template),
    },
  };
}

interface Workload {
  readonly spec: { readonly selector?: LabelSelector; readonly template: PodTemplate };
}

function validateTemplate({ spec: { selector, template } }: Workload): Cause[] {
  const labels = template.metadata?.labels ?? {};
  const fits = selector !== undefined && labelSelector(selector)(labels);
  return [
    ...(selector === undefined ? [required('spec.selector')] : []),
    ...(selector === undefined || fits
      ? []
      : [
          invalidValue(
            'spec.template.metadata.labels',
            JSON.stringify(labels),
            '`selector` does not match template `labels`',
          ),
        ]),
    ...(template.spec.containers.length === 0 ? [required('spec.template.spec.containers')] : []),
  ];
}

function validateSelectorKept(next: Workload, current: Workload): Cause[] {
  return isDeepStrictEqual(next.spec.selector, current.spec.selector)
    ? []
    : [invalidValue('spec.selector', JSON.stringify(next.spec.selector), 'field is immutable')];
}
