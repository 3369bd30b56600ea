/**
 * How strategic merge treats the lists of Kubernetes objects (`x-kubernetes-patch-merge-key` and `-strategy` of the
 * published OpenAPI document): by a key, as a set, or, without an entry here, replaced as a whole. Taints, tolerations,
 * readiness gates and container statuses are replaced as a whole.
 */
export type ListStrategy = { readonly kind: 'by-key'; readonly key: string } | { readonly kind: 'set' };

const byKey: Readonly<Record<string, string>> = {
  'ObjectMeta.ownerReferences': 'uid',
  'PodSpec.containers': 'name',
  'PodSpec.initContainers': 'name',
  'PodSpec.ephemeralContainers': 'name',
  'PodSpec.volumes': 'name',
  'PodSpec.imagePullSecrets': 'name',
  'PodSpec.hostAliases': 'ip',
  'PodSpec.resourceClaims': 'name',
  'PodSpec.schedulingGates': 'name',
  'PodSpec.topologySpreadConstraints': 'topologyKey',
  'Container.env': 'name',
  'Container.ports': 'containerPort',
  'Container.volumeMounts': 'mountPath',
  'Container.volumeDevices': 'devicePath',
  'PodStatus.conditions': 'type',
  'PodStatus.podIPs': 'ip',
  'PodStatus.hostIPs': 'ip',
  'PodStatus.resourceClaimStatuses': 'name',
  'NodeStatus.conditions': 'type',
  'NodeStatus.addresses': 'type',
  'NamespaceStatus.conditions': 'type',
  'DeploymentStatus.conditions': 'type',
  'ReplicaSetStatus.conditions': 'type',
  'DaemonSetStatus.conditions': 'type',
  'PodDisruptionBudgetStatus.conditions': 'type',
  'ServiceAccount.secrets': 'name',
};

const sets: ReadonlySet<string> = new Set(['ObjectMeta.finalizers', 'NodeSpec.podCIDRs']);

/** Maps that a patch replaces rather than merges. */
const replaced: ReadonlySet<string> = new Set(['PodDisruptionBudgetSpec.selector']);

/** `owner` is the Go name of the structure with the field, such as PodSpec. */
export function listStrategy(owner: string, field: string): ListStrategy | undefined {
  const key = byKey[`${owner}.${field}`];
  if (key !== undefined) return { kind: 'by-key', key };
  return sets.has(`${owner}.${field}`) ? { kind: 'set' } : undefined;
}

export function isReplacedAsWhole(owner: string, field: string): boolean {
  return replaced.has(`${owner}.${field}`);
}
