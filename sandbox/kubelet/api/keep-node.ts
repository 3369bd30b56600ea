import { setTimeout as delay } from 'node:timers/promises';
import { retry } from '../../../shared/retry.ts';
import { isRefusedWith, type KubeClient } from '../../kube-client/kube-client.ts';
import { apiRetry } from './api-retry.ts';
import { describeLabels, describeLease, describeNode, describeNodeStatus, type NodeFacts } from './describe-node.ts';

const leasesPath = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
const renewEveryMs = 10_000;

/** Registers the node, however long that takes, and then renews its lease until `signal` aborts. */
export async function keepNode(
  kube: KubeClient,
  facts: NodeFacts,
  tellRegistered: () => void,
  signal: AbortSignal,
): Promise<void> {
  try {
    // Log nothing here: the pod list uses the same server and reports its failures.
    await retry(() => registerNode(kube, facts, signal), apiRetry, signal);
  } catch {
    return;
  }
  tellRegistered();
  while (!signal.aborted) {
    await renewLease(kube, facts.name, signal).catch(() => undefined);
    await delay(renewEveryMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Keep an existing node's cordon, taints and annotations: a real kubelet's restart changes none of them. */
async function registerNode(kube: KubeClient, facts: NodeFacts, signal: AbortSignal): Promise<void> {
  const path = `/api/v1/nodes/${facts.name}`;
  try {
    await kube.create('/api/v1/nodes', describeNode(facts, Date.now()), { signal });
  } catch (error) {
    if (!isRefusedWith(error, 409)) throw error;
    await kube.patch(path, 'strategic', { metadata: { labels: describeLabels(facts) } }, { signal });
  }
  await kube.patch(`${path}/status`, 'strategic', { status: describeNodeStatus(facts, Date.now()) }, { signal });
}

async function renewLease(kube: KubeClient, node: string, signal: AbortSignal): Promise<void> {
  const lease = describeLease(node, Date.now());
  try {
    await kube.patch(`${leasesPath}/${node}`, 'merge', { spec: lease.spec }, { signal });
  } catch (error) {
    if (!isRefusedWith(error, 404)) throw error;
    await kube.create(leasesPath, lease, { signal });
  }
}
