import type { V1Node, V1Taint } from '@kubernetes/client-node';
import {
  type Interruption,
  instant,
  interruptionActions,
  interruptionKinds,
  parseInstant,
} from '../../shared/interruption/interruption.ts';

export const interruptionTaint = 'spotable.dev/interruption';
export const interruptionAnnotation = 'spotable.dev/interruption';

/** What the agent needs to know of its node. */
export interface NodeView {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly isCordoned: boolean;
  readonly taints: readonly V1Taint[];
  readonly annotation: string | undefined;
}

/** What we did to the node, kept on the node itself so that it outlives the agent. */
export interface NodeMark {
  readonly interruption: Interruption;
  /** Whether the cordon is ours. Somebody else's is not ours to lift. */
  readonly isCordonOurs: boolean;
}

export function readNode(object: V1Node): NodeView | undefined {
  const { name, uid, resourceVersion, annotations } = object.metadata ?? {};
  if (name === undefined || uid === undefined || resourceVersion === undefined) return undefined;
  return {
    name,
    uid,
    resourceVersion,
    isCordoned: object.spec?.unschedulable === true,
    taints: object.spec?.taints ?? [],
    annotation: annotations?.[interruptionAnnotation],
  };
}

/**
 * The strategic merge patch that marks the node as interrupted, or undefined where it is marked so already. Cordon, taint and
 * annotation go in one patch: no crash can leave a cordon that nobody remembers. Taints have no merge key, the list is
 * replaced as a whole: apply it only to the resourceVersion it was made from.
 */
export function markPatch(node: NodeView, interruption: Interruption): object | undefined {
  const before = readMark(node);
  const isCordonOurs = before?.isCordonOurs ?? !node.isCordoned;
  const annotation = writeMark({ interruption, isCordonOurs });
  const taint: V1Taint = { key: interruptionTaint, value: interruption.kind, effect: 'NoSchedule' };
  const isTainted = node.taints.some(
    ({ key, value, effect }) => key === taint.key && value === taint.value && effect === taint.effect,
  );
  if (isTainted && node.isCordoned && node.annotation === annotation) return undefined;
  return {
    metadata: { annotations: { [interruptionAnnotation]: annotation } },
    spec: { unschedulable: true, taints: [...otherTaints(node), taint] },
  };
}

/** The patch that takes back what {@link markPatch} did, and nothing else; undefined where nothing of ours is left. */
export function unmarkPatch(node: NodeView): object | undefined {
  const mark = readMark(node);
  const taints = otherTaints(node);
  if (node.annotation === undefined && taints.length === node.taints.length) return undefined;
  return {
    metadata: { annotations: { [interruptionAnnotation]: null } },
    spec: { taints, ...(mark?.isCordonOurs === true ? { unschedulable: null } : {}) },
  };
}

function otherTaints({ taints }: NodeView): V1Taint[] {
  return taints.filter(({ key }) => key !== interruptionTaint);
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
  const kind = interruptionKinds.find((known) => known === fields['kind']);
  const action = interruptionActions.find((known) => known === fields['action']);
  const firstSeenMs = parseInstant(fields['first_seen']);
  const {
    id,
    cordon_is_ours: isCordonOurs,
    deadline,
  } = fields as Record<'id' | 'cordon_is_ours' | 'deadline', unknown>;
  if (kind === undefined || action === undefined || firstSeenMs === undefined || typeof id !== 'string')
    return undefined;
  return {
    interruption: { id, kind, action, deadlineMs: parseInstant(deadline), firstSeenMs },
    isCordonOurs: isCordonOurs === true,
  };
}

function writeMark({ interruption, isCordonOurs }: NodeMark): string {
  const { id, kind, action, deadlineMs, firstSeenMs } = interruption;
  return JSON.stringify({
    id,
    kind,
    action,
    deadline: deadlineMs === undefined ? null : instant(deadlineMs),
    first_seen: instant(firstSeenMs),
    cordon_is_ours: isCordonOurs,
  });
}
