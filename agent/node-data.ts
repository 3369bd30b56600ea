import type { NodeData, NodeState } from '../shared/events/event.ts';
import { type Interruption, instant } from '../shared/interruption/interruption.ts';
import type { Instance } from '../shared/metadata/instance.ts';

/** The node's part of an inventory event. */
export function nodeData(
  node: string,
  { region, zone, instanceId, instanceType, lifecycle }: Instance,
  status: NodeState,
  { id, kind, action, deadlineMs }: Interruption,
  sequence: number,
): NodeData {
  return {
    region: region ?? null,
    zone: zone ?? null,
    node,
    instance_id: instanceId ?? null,
    instance_type: instanceType ?? null,
    lifecycle: lifecycle ?? null,
    status,
    interruption_id: id,
    kind,
    action,
    deadline: deadlineMs === undefined ? null : instant(deadlineMs),
    sequence,
  };
}
