import type { V1Deployment, V1ReplicaSet } from '@kubernetes/client-node';
import {
  allocationLabel,
  maxAnnotation,
  overflowAnnotation,
  schedulingAnnotation,
  templateHashLabel,
  warmAnnotation,
} from '../../shared/fleet-names.ts';
import type { GameServerPod } from './game-server-pod.ts';

/** A Deployment that releases its pods when they are allocated. */
export interface Fleet {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** Labels that all its pods share, including allocated ones. */
  readonly podLabels: Readonly<Record<string, string>>;
  /** Warm game servers that Kubernetes keeps. */
  readonly replicas: number;
  readonly readyReplicas: number;
  readonly updatedReplicas: number;
  /** Pods that still belong to its ReplicaSets. */
  readonly statusReplicas: number;
  /** Whether the status belongs to the newest spec. */
  readonly isObserved: boolean;
  readonly strategy: string;
  readonly images: readonly string[];
  /** The current template's revision; undefined before the first roll-out. */
  readonly revision: string | undefined;
  readonly isStuck: boolean;
  readonly max: number | undefined;
  /** The number of replicas before the maximum lowers it. */
  readonly warm: number | undefined;
  readonly scheduling: 'Packed' | 'Distributed';
  readonly overflow: Overflow | undefined;
}

/** Labels and annotations for a session of an outdated version. */
export interface Overflow {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** One version of a fleet's template. */
export interface FleetVersion {
  readonly fleetUid: string;
  readonly name: string;
  readonly hash: string;
  readonly revision: string;
  readonly replicas: number;
  readonly readyReplicas: number;
  readonly images: readonly string[];
}

/** Undefined if the Deployment is not a fleet: its selector must match unallocated pods only. */
export function readFleet({ metadata, spec, status }: V1Deployment): Fleet | undefined {
  const { namespace, name, uid, resourceVersion, annotations = {}, generation } = metadata ?? {};
  const selected = spec?.selector.matchLabels ?? {};
  if (selected[allocationLabel] !== 'unallocated') return undefined;
  if (namespace === undefined || name === undefined || uid === undefined || resourceVersion === undefined)
    return undefined;
  const { [allocationLabel]: _allocation, ...podLabels } = selected;
  return {
    namespace,
    name,
    uid,
    resourceVersion,
    annotations,
    podLabels,
    replicas: spec?.replicas ?? 1,
    readyReplicas: status?.readyReplicas ?? 0,
    updatedReplicas: status?.updatedReplicas ?? 0,
    statusReplicas: status?.replicas ?? 0,
    isObserved: (status?.observedGeneration ?? 0) >= (generation ?? 0),
    strategy: spec?.strategy?.type ?? 'RollingUpdate',
    images: (spec?.template.spec?.containers ?? []).map(({ image }) => image ?? ''),
    revision: annotations['deployment.kubernetes.io/revision'],
    isStuck:
      status?.conditions?.some(({ type, reason }) => type === 'Progressing' && reason === 'ProgressDeadlineExceeded') ??
      false,
    max: wholeNumber(annotations[maxAnnotation]),
    warm: wholeNumber(annotations[warmAnnotation]),
    scheduling: annotations[schedulingAnnotation] === 'Distributed' ? 'Distributed' : 'Packed',
    overflow: readOverflow(annotations[overflowAnnotation]),
  };
}

export function readVersion({ metadata, spec, status }: V1ReplicaSet): FleetVersion | undefined {
  const owner = metadata?.ownerReferences?.find(({ controller, kind }) => controller === true && kind === 'Deployment');
  const hash = metadata?.labels?.[templateHashLabel];
  if (owner === undefined || hash === undefined || metadata?.name === undefined) return undefined;
  return {
    fleetUid: owner.uid,
    name: metadata.name,
    hash,
    revision: metadata.annotations?.['deployment.kubernetes.io/revision'] ?? '',
    replicas: spec?.replicas ?? 0,
    readyReplicas: status?.readyReplicas ?? 0,
    images: (spec?.template?.spec?.containers ?? []).map(({ image }) => image ?? ''),
  };
}

/** Undefined if the text is missing or holds nothing that could be applied. */
export function readOverflow(text: string | undefined): Overflow | undefined {
  if (text === undefined) return undefined;
  try {
    const { labels, annotations } = Object(JSON.parse(text)) as Record<string, unknown>;
    const overflow = { labels: textsOf(labels), annotations: textsOf(annotations) };
    const isEmpty = Object.keys(overflow.labels).length + Object.keys(overflow.annotations).length === 0;
    return isEmpty ? undefined : overflow;
  } catch {
    return undefined;
  }
}

export function isOfFleet(fleet: Fleet, pod: GameServerPod): boolean {
  if (fleet.namespace !== pod.namespace) return false;
  for (const [key, value] of Object.entries(fleet.podLabels)) if (pod.labels[key] !== value) return false;
  return true;
}

function textsOf(value: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(Object(value ?? {})).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
