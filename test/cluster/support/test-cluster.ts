import { fixedCredentials, KubeClient } from '../../../sandbox/kube-client/kube-client.ts';
import { withoutKubectl } from '../../integration/manifests/kustomize.ts';

/** The control plane that all test files share, or the reason why there is none. */
export type TestCluster =
  | {
      readonly kind: 'ready';
      /** Path of the control plane's program, for tests that need one of their own. */
      readonly binary: string;
      readonly url: string;
      readonly authority: string;
      readonly adminToken: string;
      readonly kubeconfig: string;
      readonly auditLog: string;
    }
  | { readonly kind: 'unavailable'; readonly reason: string };

const found = process.env['SPOTABLE_TEST_CLUSTER'];
if (found === undefined) throw new Error('Run this by: npm run test:cluster -- FILE');
const cluster = JSON.parse(found) as TestCluster;

/** The options of every suite that needs the cluster. */
export const onCluster: { readonly skip: string | false } = {
  skip: cluster.kind === 'unavailable' && cluster.reason,
};

/** For tests that need kubectl as well; CI has it. */
export const skipWithoutKubectl: string | false =
  onCluster.skip || (process.env['CI'] === 'true' ? false : withoutKubectl);

/** @throws Error if there is none, which {@link onCluster} has skipped */
export function testCluster(): Extract<TestCluster, { kind: 'ready' }> {
  if (cluster.kind === 'unavailable') throw new Error(cluster.reason);
  return cluster;
}

export function adminClient(): KubeClient {
  return clientWith(testCluster().adminToken);
}

export function clientWith(token: string): KubeClient {
  const { url, authority } = testCluster();
  return new KubeClient(fixedCredentials(url, { token, ca: authority }));
}
