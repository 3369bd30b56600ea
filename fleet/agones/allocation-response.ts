import { addressAnnotation, portAnnotationPrefix } from '../../shared/fleet-names.ts';
import { countersOf, listsOf } from '../allocation/select.ts';
import type { GameServerPod, GameServerPort } from '../cluster/game-server-pod.ts';
import type { NodeAddress, NodeView } from '../cluster/node-view.ts';

/** allocation.proto's AllocationResponse, as Agones' allocator writes it: every field present, an int64 as text. */
export interface AllocationResponse {
  readonly gameServerName: string;
  readonly ports: readonly GameServerPort[];
  readonly address: string;
  readonly addresses: readonly NodeAddress[];
  readonly nodeName: string;
  readonly source: string;
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly counters: Readonly<Record<string, { readonly count: string; readonly capacity: string }>>;
  readonly lists: Readonly<Record<string, { readonly values: readonly string[]; readonly capacity: string }>>;
}

export function allocationResponse(pod: GameServerPod, node: NodeView | undefined): AllocationResponse {
  return {
    gameServerName: pod.name,
    ports: portsOf(pod),
    address: addressOf(pod, node),
    addresses: node?.addresses ?? [],
    nodeName: pod.nodeName ?? '',
    source: 'local',
    metadata: { labels: pod.labels, annotations: pod.annotations },
    counters: Object.fromEntries(
      Object.entries(countersOf(pod)).map(([name, { count, capacity }]) => [
        name,
        { count: String(count), capacity: String(capacity) },
      ]),
    ),
    lists: Object.fromEntries(
      Object.entries(listsOf(pod)).map(([name, { values, capacity }]) => [
        name,
        { values, capacity: String(capacity) },
      ]),
    ),
  };
}

/** The ports from the agent's annotation, or else the host ports of the pod's spec. */
export function portsOf({ annotations, hostPorts }: GameServerPod): readonly GameServerPort[] {
  const leased = Object.entries(annotations).flatMap(([key, value]) => {
    const port = Number.parseInt(value, 10);
    return key.startsWith(portAnnotationPrefix) && port > 0
      ? [{ name: key.slice(portAnnotationPrefix.length), port }]
      : [];
  });
  return leased.length > 0 ? leased : hostPorts;
}

/** In Agones' order. */
const addressTypes = ['ExternalDNS', 'ExternalIP', 'InternalDNS', 'InternalIP'];

export function addressOf({ annotations, hostIp }: GameServerPod, node: NodeView | undefined): string {
  const told = annotations[addressAnnotation];
  if (told !== undefined && told !== '') return told;
  for (const wanted of addressTypes) {
    const found = node?.addresses.find(({ type }) => type === wanted);
    if (found !== undefined) return found.address;
  }
  return hostIp ?? '';
}
