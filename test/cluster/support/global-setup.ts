import { fixedCredentials, KubeClient } from '../../../sandbox/kube-client/kube-client.ts';
import { provideBinary } from '../../control-plane/binary.ts';
import { type ControlPlane, startControlPlane } from '../../control-plane/control-plane.ts';
import { installAgent } from './install-agent.ts';
import type { TestCluster } from './test-cluster.ts';

let controlPlane: ControlPlane | undefined;

/** Starts one control plane for all test files of a run, and passes it to their processes through the environment. */
export async function globalSetup(): Promise<void> {
  const binary = await provideBinary((line) => process.stderr.write(`control-plane: ${line}\n`));
  let cluster: TestCluster;
  if (binary.kind === 'unavailable') {
    if (process.env['CI'] === 'true') throw new Error(`CI must not skip: ${binary.reason}`);
    process.stderr.write(`Tests on a real control plane are skipped: ${binary.reason}\n`);
    cluster = binary;
  } else {
    controlPlane = await startControlPlane({ binary: binary.path });
    const { url, authority, adminToken, kubeconfig, auditLog } = controlPlane;
    const client = new KubeClient(fixedCredentials(url, { token: adminToken, ca: authority }));
    await installAgent(client);
    client.close();
    cluster = { kind: 'ready', binary: binary.path, url, authority, adminToken, kubeconfig, auditLog };
  }
  process.env['SPOTABLE_TEST_CLUSTER'] = JSON.stringify(cluster);
}

export async function globalTeardown(): Promise<void> {
  await controlPlane?.[Symbol.asyncDispose]();
}
