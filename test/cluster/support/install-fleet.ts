import type { KubeClient } from '../../../sandbox/kube-client/kube-client.ts';
import { isRefusedWith } from '../../../sandbox/kube-client/kube-client.ts';
import { parseManifests, readProjectFile } from '../../unit/manifests/manifest-files.ts';
import type { Manifest } from '../../unit/manifests/manifest-problems.ts';

export const fleetRoleFile = 'manifests/fleet/process/rbac.yaml';
const rbac = '/apis/rbac.authorization.k8s.io/v1';
const admission = '/apis/admissionregistration.k8s.io/v1';

/** Installs the cluster's part of manifests/fleet; several test files may call this. */
export async function installFleetPolicies(kube: KubeClient): Promise<void> {
  for (const file of ['sessions', 'process']) await installAll(kube, `manifests/fleet/policies/${file}.yaml`);
}

/** The rights of the fleet process in a namespace of a test, as its manifest gives them in `arena`. */
export async function installFleetRights(kube: KubeClient, namespace: string): Promise<void> {
  const metadata = { name: 'spotable-fleet', namespace };
  await kube.create(`/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata });
  for (const manifest of parseManifests(readProjectFile(fleetRoleFile))) {
    const isBound = 'subjects' in manifest;
    const subjects = [{ kind: 'ServiceAccount', name: 'spotable-fleet', namespace }];
    const object = { ...manifest, ...(isBound && { subjects }) };
    if (manifest.kind.startsWith('Cluster')) {
      const name = `${manifest.metadata.name}-${namespace}`;
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
      const named = { ...object, metadata: { ...manifest.metadata, name }, ...(isBound && { roleRef }) };
      await kube.create(`${rbac}/${isBound ? 'clusterrolebindings' : 'clusterroles'}`, named);
    } else {
      const plural = isBound ? 'rolebindings' : 'roles';
      await kube.create(`${rbac}/namespaces/${namespace}/${plural}`, object);
    }
  }
}

const collections: Readonly<Record<string, string>> = {
  ValidatingAdmissionPolicy: `${admission}/validatingadmissionpolicies`,
  ValidatingAdmissionPolicyBinding: `${admission}/validatingadmissionpolicybindings`,
  MutatingAdmissionPolicy: `${admission}/mutatingadmissionpolicies`,
  MutatingAdmissionPolicyBinding: `${admission}/mutatingadmissionpolicybindings`,
  CustomResourceDefinition: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
  ClusterRole: `${rbac}/clusterroles`,
};

/** Creates every object of a manifest file; existing ones stay as they are. */
export async function installAll(kube: KubeClient, file: string): Promise<void> {
  for (const manifest of parseManifests(readProjectFile(file)) as readonly Manifest[]) {
    const collection = collections[manifest.kind];
    if (collection === undefined) throw new Error(`Cannot install a ${manifest.kind}`);
    await kube.create(collection, manifest).catch((error: unknown) => {
      if (!isRefusedWith(error, 409)) throw error;
    });
  }
}
