import type { ClusterState } from '../../../fleet/cluster/cluster-view.ts';
import type { Fleet, FleetVersion } from '../../../fleet/cluster/fleet.ts';
import type { GameServerPod } from '../../../fleet/cluster/game-server-pod.ts';
import type { NodeView } from '../../../fleet/cluster/node-view.ts';
import { allocationLabel, sessionAnnotation } from '../../../shared/fleet-names.ts';

/** A ready, unallocated game server, unless told. */
export function pod(name: string, change: Partial<GameServerPod> = {}): GameServerPod {
  return {
    namespace: 'arena',
    name,
    uid: `uid-${name}`,
    resourceVersion: '1',
    annotations: {},
    nodeName: 'n-1',
    hostIp: '10.0.0.1',
    isReady: true,
    isDeleting: false,
    isFinished: false,
    hasController: true,
    restarts: 0,
    createdAtMs: 0,
    hostPorts: [],
    ...change,
    labels: { [allocationLabel]: 'unallocated', ...change.labels },
  };
}

export function allocatedPod(name: string, change: Partial<GameServerPod> = {}): GameServerPod {
  return pod(name, {
    hasController: false,
    ...change,
    labels: { ...change.labels, [allocationLabel]: 'allocated' },
    annotations: { [sessionAnnotation]: `session-${name}`, ...change.annotations },
  });
}

export function node(name: string, change: Partial<NodeView> = {}): NodeView {
  return { name, unfit: undefined, addresses: [], ...change };
}

export function fleet(name: string, change: Partial<Fleet> = {}): Fleet {
  return {
    namespace: 'arena',
    name,
    uid: `uid-${name}`,
    resourceVersion: '1',
    annotations: {},
    podLabels: { 'spotable.dev/fleet': name },
    replicas: 3,
    readyReplicas: 3,
    updatedReplicas: 3,
    statusReplicas: 3,
    isObserved: true,
    strategy: 'RollingUpdate',
    images: ['arena:1'],
    revision: '1',
    isStuck: false,
    max: undefined,
    warm: undefined,
    scheduling: 'Packed',
    overflow: undefined,
    ...change,
  };
}

export function version(fleetName: string, hash: string, change: Partial<FleetVersion> = {}): FleetVersion {
  return {
    fleetUid: `uid-${fleetName}`,
    name: `${fleetName}-${hash}`,
    hash,
    revision: '1',
    replicas: 3,
    readyReplicas: 3,
    images: ['arena:1'],
    ...change,
  };
}

export function stateOf(parts: {
  readonly pods?: readonly GameServerPod[];
  readonly nodes?: readonly NodeView[];
  readonly fleets?: readonly Fleet[];
  readonly versions?: readonly FleetVersion[];
}): ClusterState {
  const { pods = [], nodes = [node('n-1'), node('n-2'), node('n-3')], fleets = [], versions = [] } = parts;
  return {
    pods: new Map(pods.map((one) => [one.uid, one])),
    nodes: new Map(nodes.map((one) => [one.name, one])),
    fleets: new Map(fleets.map((one) => [one.uid, one])),
    versions: new Map(versions.map((one) => [one.name, one])),
  };
}
