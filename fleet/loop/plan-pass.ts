import {
  allocatedAtAnnotation,
  sessionOverAnnotation,
  sessionTakenAnnotation,
  templateHashLabel,
} from '../../shared/fleet-names.ts';
import { parseInstant } from '../../shared/interruption/interruption.ts';
import { compareLoads, compareNames, type NodeLoad, nodeLoads } from '../allocation/choose.ts';
import type { ClusterState } from '../cluster/cluster-view.ts';
import { type Fleet, type FleetVersion, isOfFleet, type Overflow } from '../cluster/fleet.ts';
import { type GameServerPod, hasSession, isSpent, sessionOf } from '../cluster/game-server-pod.ts';

/** One thing to do. Each is decided anew in every pass from what the watches show, so none has to succeed at once. */
export type LoopStep =
  /** The game of its session has ended: the pod goes, or the kubelet would start it for nobody. */
  | { readonly kind: 'delete-spent'; readonly pod: GameServerPod }
  | { readonly kind: 'give-back'; readonly pod: GameServerPod; readonly reason: 'session over' | 'never activated' }
  | { readonly kind: 'mark-overflow'; readonly pod: GameServerPod; readonly fleet: Fleet; readonly overflow: Overflow }
  /** `warm` is written down where the Deployment does not say yet what its replicas are lowered from. */
  | { readonly kind: 'set-replicas'; readonly fleet: Fleet; readonly replicas: number; readonly warm: number };

export interface PassOptions {
  readonly nowMs: number;
  /** How long a game server may take to take its session. */
  readonly activationMs: number;
}

export function planPass(state: ClusterState, options: PassOptions): readonly LoopStep[] {
  const steps: LoopStep[] = [];
  for (const pod of state.pods.values()) {
    const step = planPod(pod, options);
    if (step !== undefined) steps.push(step);
  }
  const loads = nodeLoads(state.pods.values());
  for (const fleet of state.fleets.values()) {
    const sessions = [...state.pods.values()].filter((pod) => hasSession(pod) && isOfFleet(fleet, pod));
    const scale = planReplicas(fleet, sessions.length);
    if (scale !== undefined) steps.push(scale);
    steps.push(...planOverflow(fleet, sessions, [...state.versions.values()], loads));
  }
  return steps;
}

function planPod(pod: GameServerPod, { nowMs, activationMs }: PassOptions): LoopStep | undefined {
  const session = sessionOf(pod);
  if (session === undefined || pod.isDeleting) return undefined;
  if (isSpent(pod)) return { kind: 'delete-spent', pod };
  if (pod.annotations[sessionOverAnnotation] === session) return { kind: 'give-back', pod, reason: 'session over' };
  const taken = pod.annotations[sessionTakenAnnotation];
  const allocatedMs = parseInstant(pod.annotations[allocatedAtAnnotation]) ?? nowMs;
  // Without the annotation nobody says whether a game takes its session, and silence means nothing.
  if (taken !== undefined && taken !== session && nowMs - allocatedMs > activationMs)
    return { kind: 'give-back', pod, reason: 'never activated' };
  return undefined;
}

/** With a maximum the warm game servers give way to sessions. */
function planReplicas(fleet: Fleet, sessions: number): LoopStep | undefined {
  if (fleet.max === undefined) return undefined;
  const warm = fleet.warm ?? fleet.replicas;
  const replicas = Math.max(0, Math.min(warm, fleet.max - sessions));
  if (replicas === fleet.replicas && fleet.warm !== undefined) return undefined;
  return { kind: 'set-replicas', fleet, replicas, warm };
}

/**
 * As Agones' allocation overflow: of each version of the template as many sessions are marked as there are more than
 * that version shall have, those that bear the mark already counted, in the fleet's scheduling order.
 */
function planOverflow(
  fleet: Fleet,
  sessions: readonly GameServerPod[],
  versions: readonly FleetVersion[],
  loads: ReadonlyMap<string, NodeLoad>,
): readonly LoopStep[] {
  const { overflow } = fleet;
  if (overflow === undefined) return [];
  const byHash = Map.groupBy(sessions, ({ labels }) => labels[templateHashLabel] ?? '');
  return [...byHash].flatMap(([hash, pods]) => {
    const wanted = wantedSessions(
      fleet,
      versions.find((version) => version.fleetUid === fleet.uid && version.hash === hash),
    );
    const rest = pods.filter((pod) => !isMarked(overflow, pod));
    const missing = pods.length - wanted - (pods.length - rest.length);
    return rest
      .toSorted((a, b) => (fleet.scheduling === 'Packed' ? compareLoads(loads, a, b) : 0) || compareNames(a, b))
      .slice(0, Math.max(0, missing))
      .map((pod): LoopStep => ({ kind: 'mark-overflow', pod, fleet, overflow }));
  });
}

/**
 * How many sessions a version of the template may have. Replicas here are the warm ones beside the sessions, unlike
 * Agones' total: the current version is bounded by the fleet's maximum, and by none where it has none, unless the fleet
 * is scaled to nothing. An older one has what is left of its replicas.
 */
function wantedSessions(fleet: Fleet, version: FleetVersion | undefined): number {
  // Its ReplicaSet is gone from the history: an old version.
  if (version === undefined) return 0;
  if (version.revision !== fleet.revision) return version.replicas;
  if ((fleet.warm ?? fleet.replicas) === 0) return 0;
  return fleet.max ?? Number.POSITIVE_INFINITY;
}

/** An empty value of a label is a mark as well: it blanks what was there. */
function isMarked({ labels, annotations }: Overflow, pod: GameServerPod): boolean {
  return (
    Object.entries(labels).every(([key, value]) => pod.labels[key] === value) &&
    Object.entries(annotations).every(([key, value]) => pod.annotations[key] === value)
  );
}
