import { KubeConnection } from '../../../shared/kubernetes/kube-connection.ts';
import { testCluster } from './test-cluster.ts';

/** An administrator who impersonates a user: authorization and admission see that user. */
export function impersonate(user: string, nodeName?: string): KubeConnection {
  const { url, adminToken, authority } = testCluster();
  const groups = user.startsWith('system:serviceaccount:') ? { 'impersonate-group': 'system:serviceaccounts' } : {};
  // A header's name cannot contain a slash.
  const extra =
    nodeName === undefined ? {} : { 'impersonate-extra-authentication.kubernetes.io%2fnode-name': nodeName };
  const headers = { authorization: `Bearer ${adminToken}`, 'impersonate-user': user, ...groups, ...extra };
  const authorization = { headers, tls: { ca: authority } };
  return new KubeConnection({ server: url, authorize: async () => authorization, reload: async () => false });
}
