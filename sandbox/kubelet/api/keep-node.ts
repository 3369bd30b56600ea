import { setTimeout as delay } from 'node:timers/promises';
import type { KubeClient } from '../../kube-client/kube-client.ts';
import { isKubeError } from '../../kube-client/kube-error.ts';
import { describeLabels, describeLease, describeNode, describeNodeStatus, type NodeFacts } from './describe-node.ts';
import { RetryDelay } from './retry-delay.ts';

const leasesPath = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
const renewEveryMs = 10_000;

/** Registers the node, however long that takes, and then renews its lease until `signal` aborts. */
export async function keepNode(
  kube: KubeClient,
  facts: NodeFacts,
  tellRegistered: () => void,
  signal: AbortSignal,
): Promise<void> {
  const retry = new RetryDelay();
  while (!signal.aborted) {
    try {
      await registerNode(kube, facts, signal);
      break;
    } catch {
      // The pod list goes to the same server and tells of it.
      await retry.wait(signal);
    }
  }
  if (!signal.aborted) tellRegistered();
  while (!signal.aborted) {
    await renewLease(kube, facts.name, signal).catch(() => undefined);
    await delay(renewEveryMs, undefined, { signal }).catch(() => undefined);
  }
}

/** A node of the name that exists keeps its cordon, taints and annotations: a kubelet's restart changes none of them. */
async function registerNode(kube: KubeClient, facts: NodeFacts, signal: AbortSignal): Promise<void> {
  const path = `/api/v1/nodes/${facts.name}`;
  try {
    await kube.create('/api/v1/nodes', describeNode(facts, Date.now()), { signal });
  } catch (error) {
    if (!isKubeError(error, 409)) throw error;
    await kube.patch(path, 'strategic', { metadata: { labels: describeLabels(facts) } }, { signal });
  }
  await kube.patch(`${path}/status`, 'strategic', { status: describeNodeStatus(facts, Date.now()) }, { signal });
}

async function renewLease(kube: KubeClient, node: string, signal: AbortSignal): Promise<void> {
  const lease = describeLease(node, Date.now());
  try {
    await kube.patch(`${leasesPath}/${node}`, 'merge', { spec: lease.spec }, { signal });
  } catch (error) {
    if (!isKubeError(error, 404)) throw error;
    await kube.create(leasesPath, lease, { signal });
  }
}
