import type { Node, Taint } from '../../objects.ts';
import { type Cause, unsupportedValue } from '../../status-errors.ts';
import type { Strategy } from '../resource.ts';

const effects: readonly string[] = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export const nodeStrategy: Strategy<Node> = {
  prepareCreate: (node) => ({ ...node, spec: node.spec ?? {}, status: node.status ?? {} }),
  prepareUpdate: (next, current) => ({ ...next, spec: next.spec ?? {}, status: current.status }),
  validate: (node) => validateTaints(node.spec.taints ?? []),
  validateUpdate: (next) => validateTaints(next.spec.taints ?? []),
};

/**
 * Key and effect together must be unique. The API server's error says `metadata.taints`, although taints are in the
 * spec.
 */
function validateTaints(taints: readonly Taint[]): Cause[] {
  return taints.flatMap((taint, index) => {
    const field = `metadata.taints[${index}]`;
    if (!effects.includes(taint.effect)) return [unsupportedValue(`${field}.effect`, taint.effect, effects)];
    const twice = taints.slice(0, index).some((one) => one.key === taint.key && one.effect === taint.effect);
    return twice ? [duplicate(field, taint)] : [];
  });
}

function duplicate(field: string, { key, value = '', effect, timeAdded }: Taint): Cause {
  const quoted = JSON.stringify({ Key: key, Value: value, Effect: effect, TimeAdded: timeAdded ?? null });
  return {
    reason: 'FieldValueDuplicate',
    message: `Duplicate value: ${quoted}: taints must be unique by key and effect pair`,
    field,
  };
}
