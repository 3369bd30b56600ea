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

/** One action. Every pass plans anew from the watches' state, so no action has to succeed at once. */
export type LoopStep =
  /** The session's game has ended: delete the pod, or the kubelet would start the game again for nobody. */
  | { readonly kind: 'delete-spent'; readonly pod: GameServerPod }
  | { readonly kind: 'give-back'; readonly pod: GameServerPod; readonly reason: 'session over' | 'never activated' }
  | { readonly kind: 'mark-overflow'; readonly pod: GameServerPod; readonly fleet: Fleet; readonly overflow: Overflow }
  /** Records `warm` on a Deployment that does not yet hold the number before the maximum lowers it. */
  | { readonly kind: 'set-replicas'; readonly fleet: Fleet; readonly replicas: number; readonly warm: number };

export interface PassOptions {
  readonly nowMs: number;
  /** Time limit for a game server to accept its session. */
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
  // Without the annotation nothing reports whether a game accepts its session, so its silence means nothing.
  if (taken !== undefined && taken !== session && nowMs - allocatedMs > activationMs)
    return { kind: 'give-back', pod, reason: 'never activated' };
  return undefined;
}

/** With a maximum, sessions replace warm game servers. */
function planReplicas(fleet: Fleet, sessions: number): LoopStep | undefined {
  if (fleet.max === undefined) return undefined;
  const warm = fleet.warm ?? fleet.replicas;
  const replicas = Math.max(0, Math.min(warm, fleet.max - sessions));
  if (replicas === fleet.replicas && fleet.warm !== undefined) return undefined;
  return { kind: 'set-replicas', fleet, replicas, warm };
}

/**
 * As Agones' allocation overflow: marks as many sessions of each template version as exceed that version's share, in
 * the fleet's scheduling order. Sessions that already have the mark count towards that number.
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
 * The number of sessions that a template version may have. Replicas here are the warm ones beside the sessions, unlike
 * Agones' total. The current version is limited by the fleet's maximum; without one it is unlimited, unless the fleet
 * is scaled to zero. An older version has what is left of its replicas.
 */
function wantedSessions(fleet: Fleet, version: FleetVersion | undefined): number {
  // Its ReplicaSet is gone from the history, so it is an old version.
  if (version === undefined) return 0;
  if (version.revision !== fleet.revision) return version.replicas;
  if ((fleet.warm ?? fleet.replicas) === 0) return 0;
  return fleet.max ?? Number.POSITIVE_INFINITY;
}

/** An empty label value is a mark as well: it blanks the earlier value. */
function isMarked({ labels, annotations }: Overflow, pod: GameServerPod): boolean {
  return (
    Object.entries(labels).every(([key, value]) => pod.labels[key] === value) &&
    Object.entries(annotations).every(([key, value]) => pod.annotations[key] === value)
  );
}
