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
/** The service controller takes a node with this label out of its load balancers. */
export const loadBalancerLabel = 'node.kubernetes.io/exclude-from-external-load-balancers';
/** Lets Kubernetes detach volumes and forget pods of a node that is shut down, without waiting for its kubelet. */
export const outOfServiceTaint = 'node.kubernetes.io/out-of-service';

/** What the agent needs to know of its node. */
export interface NodeView {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly isCordoned: boolean;
  readonly taints: readonly V1Taint[];
  readonly annotation: string | undefined;
  /** How long somebody asks an interruption to be rehearsed. */
  readonly rehearse: string | undefined;
  readonly hasLoadBalancerLabel: boolean;
  /** `aws:///ZONE/INSTANCE-ID`, from the cloud provider. */
  readonly providerId: string | undefined;
}

/** What we did to the node, kept on the node itself so that it outlives the agent. */
export interface NodeMark {
  readonly interruption: PlannedInterruption;
  /** Whether the cordon is ours. Somebody else's is not ours to lift. */
  readonly isCordonOurs: boolean;
  readonly isLoadBalancerLabelOurs: boolean;
  readonly isOutOfServiceOurs: boolean;
}

/** What is to be done to the node besides cordon, taint and annotation. */
export interface MarkOptions {
  readonly excludeFromLoadBalancers: boolean;
  /** Only once nothing runs on the node any more: Kubernetes then forgets its pods without asking. */
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
    providerId: object.spec?.providerID,
  };
}

/**
 * The strategic merge patch that marks the node as interrupted, or undefined where it is marked so already. Cordon, taint and
 * annotation go in one patch: no crash can leave a cordon that nobody remembers. Taints have no merge key, the list is
 * replaced as a whole: apply it only to the resourceVersion it was made from.
 */
export function markPatch(
  node: NodeView,
  interruption: PlannedInterruption,
  { excludeFromLoadBalancers, isOutOfService }: MarkOptions,
): object | undefined {
  const before = readMark(node);
  const hasOutOfService = node.taints.some(({ key }) => key === outOfServiceTaint);
  const mark: NodeMark = {
    interruption,
    isCordonOurs: before?.isCordonOurs ?? !node.isCordoned,
    isLoadBalancerLabelOurs:
      before?.isLoadBalancerLabelOurs === true || (excludeFromLoadBalancers && !node.hasLoadBalancerLabel),
    isOutOfServiceOurs: before?.isOutOfServiceOurs === true || (isOutOfService && !hasOutOfService),
  };
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

/** The patch that takes back what {@link markPatch} did, and nothing else; undefined where nothing of ours is left. */
export function unmarkPatch(node: NodeView): object | undefined {
  const mark = readMark(node);
  const taints = foreignTaints(node, mark);
  if (node.annotation === undefined && taints.length === node.taints.length) return undefined;
  const isRehearsal = mark?.interruption.kind === 'rehearsal';
  return {
    metadata: {
      // The request goes with the rehearsal: left behind, it would start another one.
      annotations: { [interruptionAnnotation]: null, ...(isRehearsal && { [rehearseAnnotation]: null }) },
      ...(mark?.isLoadBalancerLabelOurs === true && { labels: { [loadBalancerLabel]: null } }),
    },
    spec: { taints, ...(mark?.isCordonOurs === true && { unschedulable: null }) },
  };
}

/** The patch that turns a request for a rehearsal down; undefined where there is none. */
export function dropRequestPatch({ rehearse }: NodeView): object | undefined {
  return rehearse === undefined ? undefined : { metadata: { annotations: { [rehearseAnnotation]: null } } };
}

function ownTaints({ interruption, isOutOfServiceOurs }: NodeMark): V1Taint[] {
  const own: V1Taint[] = [{ key: interruptionTaint, value: interruption.kind, effect: 'NoSchedule' }];
  if (isOutOfServiceOurs) own.push({ key: outOfServiceTaint, value: 'nodeshutdown', effect: 'NoExecute' });
  return own;
}

function foreignTaints({ taints }: NodeView, mark: NodeMark | undefined): V1Taint[] {
  return taints.filter(
    ({ key }) => key !== interruptionTaint && !(key === outOfServiceTaint && mark?.isOutOfServiceOurs === true),
  );
}

function haveSameTaints(a: readonly V1Taint[], b: readonly V1Taint[]): boolean {
  const text = ({ key, value, effect }: V1Taint) => `${key}=${value ?? ''}:${effect}`;
  const texts = new Set(a.map(text));
  return a.length === b.length && b.every((taint) => texts.has(text(taint)));
}

/** What the annotation says; undefined where there is none, or none that an agent wrote. */
export function readMark({ annotation }: NodeView): NodeMark | undefined {
  if (annotation === undefined) return undefined;
  let fields: Readonly<Record<string, unknown>>;
  try {
    fields = Object(JSON.parse(annotation)) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
  const interruption = readInterruption(fields);
  const response = responseKinds.find((known) => known === fields['response']);
  if (interruption === undefined || response === undefined) return undefined;
  return {
    interruption: { ...interruption, response },
    isCordonOurs: fields['cordon_is_ours'] === true,
    isLoadBalancerLabelOurs: fields['load_balancer_label_is_ours'] === true,
    isOutOfServiceOurs: fields['out_of_service_is_ours'] === true,
  };
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
