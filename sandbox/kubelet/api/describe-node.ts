import type { AnyKubeObject } from '../../kube-client/kube-object.ts';
import { formatTime } from '../pod/pod-status.ts';

export interface NodeFacts {
  name: string;
  address: string;
  labels: Readonly<Record<string, string>>;
  cpus: number;
  memoryBytes: number;
  maxPods: number;
  /** Go's name for it: amd64, arm64. */
  architecture: string;
}

export function describeNode(facts: NodeFacts, nowMs: number): AnyKubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: facts.name, labels: describeLabels(facts) },
    spec: {},
    status: describeNodeStatus(facts, nowMs),
  };
}

export function describeLabels({ name, architecture, labels }: NodeFacts): Record<string, string> {
  return {
    'beta.kubernetes.io/arch': architecture,
    'beta.kubernetes.io/os': 'linux',
    'kubernetes.io/arch': architecture,
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    ...labels,
  };
}

export function describeNodeStatus(facts: NodeFacts, nowMs: number): Record<string, unknown> {
  const quantities = {
    cpu: String(facts.cpus),
    memory: `${Math.floor(facts.memoryBytes / 1024)}Ki`,
    pods: String(facts.maxPods),
  };
  return {
    capacity: quantities,
    allocatable: quantities,
    conditions: [
      condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
      condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
      condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
      condition('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'),
    ],
    addresses: [
      { type: 'InternalIP', address: facts.address },
      { type: 'Hostname', address: facts.name },
    ],
    nodeInfo: {
      architecture: facts.architecture,
      operatingSystem: 'linux',
      kubeletVersion: 'v1.36.0+sandbox',
      containerRuntimeVersion: 'process://1',
      ...unknownNodeInfo,
    },
  };

  function condition(type: string, status: 'True' | 'False', reason: string, message: string): object {
    const time = formatTime(nowMs);
    return { type, status, lastHeartbeatTime: time, lastTransitionTime: time, reason, message };
  }
}

/** Required fields of nodeInfo that nothing here reads. */
const unknownNodeInfo = {
  machineID: '',
  systemUUID: '',
  bootID: '',
  kernelVersion: '',
  osImage: '',
  kubeProxyVersion: '',
};

/**
 * The lease that a kubelet renews every 10 s to show that it is alive. MicroTime takes exactly six digits of a second.
 */
export function describeLease(node: string, nowMs: number): { spec: Record<string, unknown> } & AnyKubeObject {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: node, namespace: 'kube-node-lease' },
    spec: {
      holderIdentity: node,
      leaseDurationSeconds: 40,
      renewTime: new Date(nowMs).toISOString().replace('Z', '000Z'),
    },
  };
}
