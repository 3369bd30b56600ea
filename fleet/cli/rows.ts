import { allocatedAtAnnotation, playersAnnotation, templateHashLabel } from '../../shared/fleet-names.ts';
import { addressOf, portsOf } from '../agones/allocation-response.ts';
import type { ClusterState } from '../cluster/cluster-view.ts';
import { type Fleet, type FleetVersion, isOfFleet } from '../cluster/fleet.ts';
import { allocationOf, type GameServerPod, hasSession, isSpent, sessionOf } from '../cluster/game-server-pod.ts';

/** A fleet as `list` shows it; snake_case, because scripts read it. */
export interface FleetRow {
  readonly fleet: string;
  readonly warm: number;
  readonly ready: number;
  readonly sessions: number;
  readonly max: number | null;
  readonly updated: number;
  readonly old: number;
  readonly strategy: string;
  readonly revision: string | null;
  readonly images: readonly string[];
  /** In the words of `kubectl rollout status`. */
  readonly rollout: string;
  readonly is_rolled_out: boolean;
}

export interface VersionRow {
  readonly version: string;
  readonly revision: string | null;
  readonly is_current: boolean;
  readonly warm: number;
  readonly ready: number;
  readonly sessions: number;
  readonly images: readonly string[];
}

export interface SessionRow {
  readonly session: string;
  readonly fleet: string | null;
  readonly version: string | null;
  readonly pod: string;
  readonly node: string | null;
  readonly address: string;
  readonly ports: Readonly<Record<string, number>>;
  readonly players: number | null;
  readonly allocated_at: string | null;
  readonly note: string;
}

export function fleetRows(state: ClusterState): readonly FleetRow[] {
  return [...state.fleets.values()]
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((fleet) => fleetRow(fleet, state));
}

export function fleetRow(fleet: Fleet, { pods }: Pick<ClusterState, 'pods'>): FleetRow {
  const own = [...pods.values()].filter((pod) => isOfFleet(fleet, pod));
  const warm = own.filter((pod) => allocationOf(pod) === 'unallocated' && !pod.isDeleting && pod.hasController);
  return {
    fleet: fleet.name,
    warm: fleet.replicas,
    ready: warm.filter(({ isReady }) => isReady).length,
    sessions: own.filter(hasSession).length,
    max: fleet.max ?? null,
    updated: fleet.updatedReplicas,
    old: Math.max(0, fleet.statusReplicas - fleet.updatedReplicas),
    strategy: fleet.strategy,
    revision: fleet.revision ?? null,
    images: fleet.images,
    rollout: rolloutText(fleet),
    is_rolled_out: isRolledOut(fleet),
  };
}

export function isRolledOut({ isObserved, updatedReplicas, statusReplicas, readyReplicas, replicas }: Fleet): boolean {
  return isObserved && updatedReplicas >= replicas && statusReplicas <= updatedReplicas && readyReplicas >= replicas;
}

/** The sentences of `kubectl rollout status`. */
function rolloutText(fleet: Fleet): string {
  const { name, isObserved, isStuck, updatedReplicas, statusReplicas, readyReplicas, replicas } = fleet;
  const wait = `Waiting for deployment ${JSON.stringify(name)} rollout to finish:`;
  if (!isObserved) return 'Waiting for deployment spec update to be observed...';
  if (isStuck) return `deployment ${JSON.stringify(name)} exceeded its progress deadline`;
  if (updatedReplicas < replicas)
    return `${wait} ${updatedReplicas} out of ${replicas} new replicas have been updated...`;
  if (statusReplicas > updatedReplicas)
    return `${wait} ${statusReplicas - updatedReplicas} old replicas are pending termination...`;
  if (readyReplicas < updatedReplicas)
    return `${wait} ${readyReplicas} of ${updatedReplicas} updated replicas are available...`;
  return `deployment ${JSON.stringify(name)} successfully rolled out`;
}

/** The versions of a fleet that have pods or sessions, the current one first. */
export function versionRows(fleet: Fleet, { pods, versions }: ClusterState): readonly VersionRow[] {
  const sessions = [...pods.values()].filter((pod) => hasSession(pod) && isOfFleet(fleet, pod));
  const known = [...versions.values()].filter(({ fleetUid }) => fleetUid === fleet.uid);
  const count = (hash: string) => sessions.filter(({ labels }) => labels[templateHashLabel] === hash).length;
  const rows = known.map((version) => versionRow(fleet, version, count(version.hash)));
  const forgotten = new Set(
    sessions
      .map(({ labels }) => labels[templateHashLabel] ?? '')
      .filter((hash) => !known.some((version) => version.hash === hash)),
  );
  for (const hash of forgotten)
    rows.push({
      ...{ version: hash, revision: null, is_current: false, warm: 0, ready: 0, images: [] },
      sessions: count(hash),
    });
  return rows
    .filter(({ is_current, warm, ready, sessions: some }) => is_current || warm + ready + some > 0)
    .toSorted((a, b) => Number(b.revision ?? 0) - Number(a.revision ?? 0));
}

function versionRow(fleet: Fleet, version: FleetVersion, sessions: number): VersionRow {
  const { hash, revision, replicas, readyReplicas, images } = version;
  return {
    version: hash,
    revision,
    is_current: revision === fleet.revision,
    warm: replicas,
    ready: readyReplicas,
    sessions,
    images,
  };
}

export function sessionRows({ pods, nodes, fleets }: ClusterState): readonly SessionRow[] {
  const rows = [...pods.values()].filter((pod) => allocationOf(pod) === 'allocated');
  return rows
    .map((pod) => {
      const node = nodes.get(pod.nodeName ?? '');
      const players = Number(pod.annotations[playersAnnotation] ?? Number.NaN);
      return {
        session: sessionOf(pod) ?? '',
        fleet: [...fleets.values()].find((fleet) => isOfFleet(fleet, pod))?.name ?? null,
        version: pod.labels[templateHashLabel] ?? null,
        pod: pod.name,
        node: pod.nodeName ?? null,
        address: addressOf(pod, node),
        ports: Object.fromEntries(portsOf(pod).map(({ name, port }) => [name, port])),
        players: Number.isInteger(players) ? players : null,
        allocated_at: pod.annotations[allocatedAtAnnotation] ?? null,
        note: noteOf(pod, node?.unfit),
      };
    })
    .toSorted((a, b) => ((a.allocated_at ?? '') < (b.allocated_at ?? '') ? -1 : 1));
}

function noteOf(pod: GameServerPod, unfit: string | undefined): string {
  if (isSpent(pod)) return 'spent';
  if (pod.isDeleting) return 'ending';
  return unfit === undefined ? '' : `node ${unfit}`;
}
