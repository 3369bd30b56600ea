import {
  type LabelsPredicate,
  meetsRequirement,
  parseLabelSelector as parseSelector,
} from '../../../shared/kubernetes/label-selector.ts';
import type { KubeObject, LabelSelector } from '../objects.ts';
import { badRequest, Refusal } from '../status-errors.ts';

/** A LabelSelector of an object's spec. A missing and an empty one select everything, as in policy/v1. */
export function labelSelector(selector: LabelSelector | undefined): LabelsPredicate {
  const equal = Object.entries(selector?.matchLabels ?? {});
  const expressions = selector?.matchExpressions ?? [];
  return (labels) =>
    equal.every(([key, value]) => labels[key] === value) &&
    expressions.every(({ key, operator, values = [] }) => meetsRequirement(labels[key], operator, values));
}

/** The `labelSelector` of a query. Throws 400 if it does not parse. */
export function parseLabelSelector(text: string): LabelsPredicate {
  try {
    return parseSelector(text);
  } catch (error) {
    throw new Refusal(badRequest((error as SyntaxError).message), { cause: error });
  }
}

/** The value at a dotted path for a field selector; a missing one is the empty string. */
function fieldValue(object: KubeObject, path: string): string {
  let value: unknown = object;
  for (const part of path.split('.')) {
    if (value === null || typeof value !== 'object') return '';
    value = (value as Record<string, unknown>)[part];
  }
  if (typeof value === 'boolean') return String(value);
  return typeof value === 'string' ? value : '';
}

/**
 * The `fieldSelector` of a query. It may use `metadata.name`, `metadata.namespace` and the resource's own `selectable`
 * paths. Throws 400 for other paths and for a selector that does not parse.
 */
export function parseFieldSelector(text: string, selectable: readonly string[]): (object: KubeObject) => boolean {
  const terms = text.split(',').filter((term) => term !== '');
  const requirements = terms.map((term) => {
    const [, path, operator, value] = /^([^!=]+)(==|=|!=)(.*)$/.exec(term) ?? [];
    if (path === undefined || value === undefined) {
      throw new Refusal(badRequest(`invalid selector: '${text}'; can't understand '${term}'`));
    }
    if (!['metadata.name', 'metadata.namespace', ...selectable].includes(path)) {
      throw new Refusal(badRequest(`field label not supported: ${path}`));
    }
    return { path, value, equal: operator !== '!=' };
  });
  return (object) =>
    requirements.every(({ path, value, equal }) => (selectableValue(object, path) === value) === equal);
}

/** JSON omits booleans that are false, but field selectors compare them with the word. */
function selectableValue(object: KubeObject, path: string): string {
  const value = fieldValue(object, path);
  return value === '' && booleanPaths.has(path) ? 'false' : value;
}

const booleanPaths: ReadonlySet<string> = new Set(['spec.unschedulable', 'spec.hostNetwork']);
