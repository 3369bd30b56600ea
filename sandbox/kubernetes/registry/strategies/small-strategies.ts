import { isDeepStrictEqual } from 'node:util';
import type { KubeObject, Namespace, PodDisruptionBudget } from '../../objects.ts';
import { type Cause, forbiddenField, invalidValue } from '../../status-errors.ts';
import type { Strategy } from '../resource.ts';

export const namespaceStrategy: Strategy<Namespace> = {
  prepareCreate: (namespace) => ({
    ...namespace,
    metadata: {
      ...namespace.metadata,
      labels: { ...namespace.metadata.labels, 'kubernetes.io/metadata.name': namespace.metadata.name },
    },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  }),
  prepareUpdate: (next, current) => ({ ...next, spec: current.spec, status: current.status }),
};

export const budgetStrategy: Strategy<PodDisruptionBudget> = {
  prepareCreate: (budget) => ({
    ...budget,
    // Until the disruption controller has seen it, a budget allows nothing.
    status: { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 },
  }),
  prepareUpdate: (next, current) => ({ ...next, status: current.status }),
  validate: ({ spec }) =>
    spec.minAvailable !== undefined && spec.maxUnavailable !== undefined
      ? [invalidValue('spec', JSON.stringify(spec), 'minAvailable and maxUnavailable cannot be both set')]
      : [],
};

interface Lease extends KubeObject {
  spec?: { leaseDurationSeconds?: number };
}

export const leaseStrategy: Strategy<Lease> = {
  validate: validateLease,
  validateUpdate: validateLease,
};

function validateLease({ spec }: Lease): Cause[] {
  const seconds = spec?.leaseDurationSeconds ?? 1;
  return seconds > 0 ? [] : [invalidValue('spec.leaseDurationSeconds', String(seconds), 'must be greater than 0')];
}

interface ConfigMap extends KubeObject {
  immutable?: boolean;
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
}

export const configMapStrategy: Strategy<ConfigMap> = {
  validateUpdate(next, current) {
    if (current.immutable !== true) return [];
    const why = 'field is immutable when `immutable` is set';
    return (['immutable', 'data', 'binaryData'] as const)
      .filter((field) => !isDeepStrictEqual(next[field], current[field]))
      .map((field) => forbiddenField(field, why));
  },
};
