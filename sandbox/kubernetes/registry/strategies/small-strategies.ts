import type { Namespace, PodDisruptionBudget } from '../../objects.ts';
import { invalidValue } from '../../status-errors.ts';
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
    // A budget allows no disruption until the disruption controller has seen it.
    status: { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 },
  }),
  prepareUpdate: (next, current) => ({ ...next, status: current.status }),
  validate: ({ spec }) =>
    spec.minAvailable !== undefined && spec.maxUnavailable !== undefined
      ? [invalidValue('spec', JSON.stringify(spec), 'minAvailable and maxUnavailable cannot be both set')]
      : [],
};
