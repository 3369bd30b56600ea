import type { V1Node, V1Taint } from '@kubernetes/client-node';
import {
  type Interruption,
  instant,
  interruptionActions,
  interruptionKinds,
  parseInstant,
} from '../../shared/interruption/interruption.ts';
import { type PlannedInterruption, responseKinds } from '../interruption/policy.ts';

export const interruptionTaint = 'spotable.dev/interruption';
export const interruptionAnnotation = 'spotable.dev/interruption';
export const rehearseAnnotation = 'spotable.dev/rehearse';
/** The service controller removes a node with this label from its load balancers. */
export const loadBalancerLabel = 'node.kubernetes.io/exclude-from-external-load-balancers';
/** Lets Kubernetes detach volumes and delete pods of a node that is shut down, without waiting for its kubelet. */
export const outOfServiceTaint = 'node.kubernetes.io/out-of-service';

/** The parts of its node that the agent needs. */
export interface NodeView {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly isCordoned: boolean;
  readonly taints: readonly V1Taint[];
  readonly annotation: string | undefined;
  /** Requested duration of a rehearsal. */
  readonly rehearse: string | undefined;
  readonly hasLoadBalancerLabel: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** Names of the volumes that are attached to the node. */
  readonly volumesAttached: readonly string[];
  /** `aws:///ZONE/INSTANCE-ID`, from the cloud provider. */
  readonly providerId: string | undefined;
}

/** Our changes to the node, recorded on the node itself so that they outlive the agent. */
export interface NodeMark extends MarkOwnership {
  readonly interruption: PlannedInterruption;
}

/** Which parts of the node's current state are ours. */
export interface MarkOwnership {
  /** Whether the cordon is ours. We never lift a foreign cordon. */
  readonly isCordonOurs: boolean;
  readonly isLoadBalancerLabelOurs: boolean;
  readonly isOutOfServiceOurs: boolean;
}

/** Changes to the node besides cordon, taint and annotation. */
export interface MarkOptions {
  readonly excludeFromLoadBalancers: boolean;
  /** Set it only once nothing runs on the node any more: Kubernetes then deletes its pods without confirmation. */
  readonly isOutOfService: boolean;
}

export function readNode(object: V1Node): NodeView | undefined {
  const { name, uid, resourceVersion, annotations, labels } = object.metadata ?? {};
  if (name === undefined || uid === undefined || resourceVersion === undefined) return undefined;
  return {
    name,
    uid,
    resourceVersion,
    isCordoned: object.spec?.unschedulable === true,
    taints: object.spec?.taints ?? [],
    annotation: annotations?.[interruptionAnnotation],
    rehearse: annotations?.[rehearseAnnotation],
    hasLoadBalancerLabel: labels?.[loadBalancerLabel] !== undefined,
    labels: labels ?? {},
    volumesAttached: object.status?.volumesAttached?.map(({ name: volume }) => volume) ?? [],
    providerId: object.spec?.providerID,
  };
}

/**
 * The strategic merge patch that marks the node as interrupted; undefined: the node is already marked. One patch sets
 * cordon, taint and annotation, so that no crash can leave an unrecorded cordon. Taints have no merge key and are
 * replaced as a whole list, so apply the patch only to the resourceVersion it was made from.
 */
export function markPatch(
  node: NodeView,
  interruption: PlannedInterruption,
  options: MarkOptions,
  known?: MarkOwnership,
): object | undefined {
  const mark = markFor(node, interruption, options, known);
  const annotation = writeMark(mark);
  const taints = [...foreignTaints(node, mark), ...ownTaints(mark)];
  const addsLabel = mark.isLoadBalancerLabelOurs && !node.hasLoadBalancerLabel;
  const isMarked = node.isCordoned && node.annotation === annotation && haveSameTaints(node.taints, taints);
  if (isMarked && !addsLabel) return undefined;
  return {
    metadata: {
      annotations: { [interruptionAnnotation]: annotation },
      ...(addsLabel && { labels: { [loadBalancerLabel]: 'true' } }),
    },
    spec: { unschedulable: true, taints },
  };
}

/** The mark that {@link markPatch} writes. `known`: what is ours, if the annotation does not record it. */
export function markFor(
  node: NodeView,
  interruption: PlannedInterruption,
  { excludeFromLoadBalancers, isOutOfService }: MarkOptions,
  known?: MarkOwnership,
): NodeMark {
  const before = readOwnership(node) ?? known;
  const hasOutOfService = node.taints.some(({ key }) => key === outOfServiceTaint);
  return {
    interruption,
    isCordonOurs: before?.isCordonOurs ?? !node.isCordoned,
    isLoadBalancerLabelOurs:
      before?.isLoadBalancerLabelOurs === true || (excludeFromLoadBalancers && !node.hasLoadBalancerLabel),
    isOutOfServiceOurs: before?.isOutOfServiceOurs === true || (isOutOfService && !hasOutOfService),
  };
}

/** The same patch, for a node whose annotations are full. */
export function withoutAnnotation(patch: object): object {
  const { metadata, ...rest } = patch as { metadata?: { labels?: object } };
  return { ...rest, ...(metadata?.labels !== undefined && { metadata: { labels: metadata.labels } }) };
}

/** The patch that reverts {@link markPatch} and nothing else; undefined: nothing of ours is left. */
export function unmarkPatch(node: NodeView, known?: NodeMark): object | undefined {
  const ours = readOwnership(node) ?? known;
  const taints = foreignTaints(node, ours);
  const isOnlyCordoned = known?.isCordonOurs === true && node.isCordoned;
  if (node.annotation === undefined && taints.length === node.taints.length && !isOnlyCordoned) return undefined;
  const isRehearsal = (readMark(node) ?? known)?.interruption.kind === 'rehearsal';
  return {
    metadata: {
      // Remove the request together with the rehearsal; otherwise it would start another one.
      annotations: { [interruptionAnnotation]: null, ...(isRehearsal && { [rehearseAnnotation]: null }) },
      ...(ours?.isLoadBalancerLabelOurs === true && { labels: { [loadBalancerLabel]: null } }),
    },
    spec: { taints, ...(ours?.isCordonOurs === true && { unschedulable: null }) },
  };
}

/** Whether the node has the cordon and the taint. */
export function hasMark(node: NodeView, { kind }: Interruption): boolean {
  return node.isCordoned && node.taints.some(({ key, value }) => key === interruptionTaint && value === kind);
}

/** Whether the node has an agent's mark that this agent cannot read: an annotation, or a taint without one. */
export function hasUnreadableMark(node: NodeView): boolean {
  return readMark(node) === undefined && (node.annotation !== undefined || hasOwnTaint(node));
}

function hasOwnTaint({ taints }: NodeView): boolean {
  return taints.some(({ key }) => key === interruptionTaint);
}

/** The patch that removes a refused request for a rehearsal; undefined: there is none. */
export function dropRequestPatch({ rehearse }: NodeView): object | undefined {
  return rehearse === undefined ? undefined : { metadata: { annotations: { [rehearseAnnotation]: null } } };
}

function ownTaints({ interruption, isOutOfServiceOurs }: NodeMark): V1Taint[] {
  const own: V1Taint[] = [{ key: interruptionTaint, value: interruption.kind, effect: 'NoSchedule' }];
  if (isOutOfServiceOurs) own.push({ key: outOfServiceTaint, value: 'nodeshutdown', effect: 'NoExecute' });
  return own;
}

function foreignTaints({ taints }: NodeView, mark: MarkOwnership | undefined): V1Taint[] {
  return taints.filter(
    ({ key }) => key !== interruptionTaint && !(key === outOfServiceTaint && mark?.isOutOfServiceOurs === true),
  );
}

function haveSameTaints(a: readonly V1Taint[], b: readonly V1Taint[]): boolean {
  const text = ({ key, value, effect }: V1Taint) => `${key}=${value ?? ''}:${effect}`;
  const texts = new Set(a.map(text));
  return a.length === b.length && b.every((taint) => texts.has(text(taint)));
}

/** The mark in the annotation; undefined: none, or unreadable to this agent. */
export function readMark(node: NodeView): NodeMark | undefined {
  const fields = readFields(node);
  const ownership = readOwnership(node);
  if (fields === undefined || ownership === undefined) return undefined;
  const interruption = readInterruption(fields);
  const response = responseKinds.find((known) => known === fields['response']);
  if (interruption === undefined || response === undefined) return undefined;
  return { interruption: { ...interruption, response }, ...ownership };
}

/**
 * An agent of another version may use kinds that this one does not know. The origin of the cordon is readable
 * nevertheless.
 */
function readOwnership(node: NodeView): MarkOwnership | undefined {
  const fields = readFields(node);
  if (typeof fields?.['cordon_is_ours'] !== 'boolean') return undefined;
  return {
    isCordonOurs: fields['cordon_is_ours'],
    isLoadBalancerLabelOurs: fields['load_balancer_label_is_ours'] === true,
    isOutOfServiceOurs: fields['out_of_service_is_ours'] === true,
  };
}

function readFields({ annotation }: NodeView): Readonly<Record<string, unknown>> | undefined {
  if (annotation === undefined) return undefined;
  try {
    return Object(JSON.parse(annotation)) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
}

function readInterruption(fields: Readonly<Record<string, unknown>>): Interruption | undefined {
  const id = fields['id'];
  const kind = interruptionKinds.find((known) => known === fields['kind']);
  const action = interruptionActions.find((known) => known === fields['action']);
  const firstSeenMs = parseInstant(fields['first_seen']);
  if (kind === undefined || action === undefined || firstSeenMs === undefined || typeof id !== 'string')
    return undefined;
  return { id, kind, action, deadlineMs: parseInstant(fields['deadline']), firstSeenMs };
}

function writeMark({ interruption, isCordonOurs, isLoadBalancerLabelOurs, isOutOfServiceOurs }: NodeMark): string {
  const { id, kind, action, deadlineMs, firstSeenMs, response } = interruption;
  return JSON.stringify({
    id,
    kind,
    action,
    response,
    deadline: deadlineMs === undefined ? null : instant(deadlineMs),
    first_seen: instant(firstSeenMs),
    cordon_is_ours: isCordonOurs,
    ...(isLoadBalancerLabelOurs && { load_balancer_label_is_ours: true }),
    ...(isOutOfServiceOurs && { out_of_service_is_ours: true }),
  });
}
