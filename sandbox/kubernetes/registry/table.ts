import type {
  Deployment,
  KubeObject,
  Namespace,
  Node,
  Pod,
  PodDisruptionBudget,
  ReplicaSet,
  Role,
  RoleBinding,
  ServiceAccount,
} from '../objects.ts';
import { type Resource, resource } from './resource.ts';
import { type Event, eventStrategy } from './strategies/event.ts';
import { nodeStrategy } from './strategies/node.ts';
import { podStrategy } from './strategies/pod.ts';
import { budgetStrategy, namespaceStrategy } from './strategies/small-strategies.ts';
import { daemonSetStrategy, deploymentStrategy, replicaSetStrategy } from './strategies/workload.ts';

/** The double's resources and the specifics of each. */

const core = { group: '', version: 'v1' } as const;
const apps = { group: 'apps', version: 'v1', namespaced: true, hasGeneration: true } as const;
const rbac = { group: 'rbac.authorization.k8s.io', version: 'v1' } as const;

export const namespaces: Resource<Namespace> = resource<Namespace>({
  ...core,
  kind: 'Namespace',
  plural: 'namespaces',
  shortNames: ['ns'],
  namespaced: false,
  subresources: ['status'],
  selectable: ['status.phase'],
  strategy: namespaceStrategy,
});

export const nodes: Resource<Node> = resource<Node>({
  ...core,
  kind: 'Node',
  plural: 'nodes',
  shortNames: ['no'],
  namespaced: false,
  subresources: ['status'],
  selectable: ['spec.unschedulable'],
  strategy: nodeStrategy,
});

export const pods: Resource<Pod> = resource<Pod>({
  ...core,
  kind: 'Pod',
  plural: 'pods',
  shortNames: ['po'],
  namespaced: true,
  subresources: ['status', 'eviction', 'binding'],
  selectable: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  deleteAnswersObject: true,
  hasGeneration: true,
  strategy: podStrategy,
});

const eventFields = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'];

export const events: Resource<Event> = resource<Event>({
  ...core,
  kind: 'Event',
  plural: 'events',
  shortNames: ['ev'],
  namespaced: true,
  model: 'CoreV1Event',
  selectable: [
    ...eventFields.map((field) => `involvedObject.${field}`),
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  strategy: eventStrategy,
});

export const serviceAccounts: Resource<ServiceAccount> = resource<ServiceAccount>({
  ...core,
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  shortNames: ['sa'],
  namespaced: true,
  subresources: ['token'],
  deleteAnswersObject: true,
});

export const deployments: Resource<Deployment> = resource<Deployment>({
  ...apps,
  kind: 'Deployment',
  plural: 'deployments',
  shortNames: ['deploy'],
  subresources: ['status', 'scale'],
  strategy: deploymentStrategy,
});

export const replicaSets: Resource<ReplicaSet> = resource<ReplicaSet>({
  ...apps,
  kind: 'ReplicaSet',
  plural: 'replicasets',
  shortNames: ['rs'],
  subresources: ['status', 'scale'],
  strategy: replicaSetStrategy,
});

export const budgets: Resource<PodDisruptionBudget> = resource<PodDisruptionBudget>({
  group: 'policy',
  version: 'v1',
  kind: 'PodDisruptionBudget',
  plural: 'poddisruptionbudgets',
  shortNames: ['pdb'],
  namespaced: true,
  subresources: ['status'],
  hasGeneration: true,
  strategy: budgetStrategy,
});

export const clusterRoles: Resource<Role> = resource<Role>({
  ...rbac,
  kind: 'ClusterRole',
  plural: 'clusterroles',
  namespaced: false,
});
export const roles: Resource<Role> = resource<Role>({ ...rbac, kind: 'Role', plural: 'roles', namespaced: true });
export const clusterRoleBindings: Resource<RoleBinding> = resource<RoleBinding>({
  ...rbac,
  kind: 'ClusterRoleBinding',
  plural: 'clusterrolebindings',
  namespaced: false,
});
export const roleBindings: Resource<RoleBinding> = resource<RoleBinding>({
  ...rbac,
  kind: 'RoleBinding',
  plural: 'rolebindings',
  namespaced: true,
});

const others: readonly Resource[] = [
  resource({
    ...core,
    kind: 'ConfigMap',
    plural: 'configmaps',
    shortNames: ['cm'],
    namespaced: true,
  }),
  resource({ ...core, kind: 'Service', plural: 'services', shortNames: ['svc'], namespaced: true }),
  resource({
    ...apps,
    kind: 'DaemonSet',
    plural: 'daemonsets',
    shortNames: ['ds'],
    subresources: ['status'],
    strategy: daemonSetStrategy,
  }),
  resource({
    group: 'coordination.k8s.io',
    version: 'v1',
    kind: 'Lease',
    plural: 'leases',
    namespaced: true,
  }),
];

export const resources: readonly Resource[] = [
  namespaces,
  nodes,
  pods,
  events,
  serviceAccounts,
  deployments,
  replicaSets,
  budgets,
  clusterRoles,
  roles,
  clusterRoleBindings,
  roleBindings,
  ...others,
] as readonly Resource<KubeObject>[];

/** A POST that is answered and not stored. */
export interface Review {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly model: string;
}

const authorization = { group: 'authorization.k8s.io', version: 'v1' } as const;
const authentication = { group: 'authentication.k8s.io', version: 'v1' } as const;

export const reviews: readonly Review[] = [
  {
    ...authorization,
    kind: 'SelfSubjectAccessReview',
    plural: 'selfsubjectaccessreviews',
    model: 'V1SelfSubjectAccessReview',
  },
  { ...authentication, kind: 'TokenReview', plural: 'tokenreviews', model: 'V1TokenReview' },
];
