import type { KubeClient } from '../../../sandbox/kube-client/kube-client.ts';
import { parseManifests, readProjectFile } from '../../unit/manifests/manifest-files.ts';
import type { Manifest } from '../../unit/manifests/manifest-problems.ts';

const namespace = 'spotable';
export const policyFile = 'manifests/components/own-node-only/policy.yaml';
export const roleFiles: readonly string[] = [
  'manifests/base/agent/rbac.yaml',
  'manifests/components/escalation/rbac.yaml',
];
const podStatusPolicyFile = 'manifests/components/own-node-only/pod-status.yaml';
const files = [
  'manifests/base/namespace.yaml',
  'manifests/base/agent/service-account.yaml',
  ...roleFiles,
  policyFile,
  podStatusPolicyFile,
];

const collections: Readonly<Record<string, string>> = {
  Namespace: '/api/v1/namespaces',
  ServiceAccount: `/api/v1/namespaces/${namespace}/serviceaccounts`,
  ClusterRole: '/apis/rbac.authorization.k8s.io/v1/clusterroles',
  ClusterRoleBinding: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
  ValidatingAdmissionPolicy: '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies',
  ValidatingAdmissionPolicyBinding: '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings',
};

/**
 * Installs everything of the agent's overlays except its DaemonSet, from the files themselves, so that kubectl is not
 * needed.
 */
export async function installAgent(kube: KubeClient): Promise<void> {
  for (const manifest of files.flatMap((file) => parseManifests(readProjectFile(file)))) await create(kube, manifest);
}

async function create(kube: KubeClient, manifest: Manifest): Promise<void> {
  const collection = collections[manifest.kind];
  if (collection === undefined) throw new Error(`Cannot install a ${manifest.kind}`);
  await kube.create(collection, manifest);
}
