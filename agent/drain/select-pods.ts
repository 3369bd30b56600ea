import { parseLabelSelector } from '../../shared/kubernetes/label-selector.ts';
import type { DrainSelection } from './pod-filters.ts';

const namespaceList = /^(!?)[a-z0-9-]{1,63}(,\1[a-z0-9-]{1,63})*$/;

/** `a,b`: only these namespaces; `!a,!b`: all but these. */
export function isNamespaceList(text: string): boolean {
  return namespaceList.test(text);
}

export function isLabelSelector(text: string): boolean {
  try {
    parseLabelSelector(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Which pods to drain, by namespace and label selector; undefined: all. Throws a SyntaxError for an invalid selector.
 */
export function selectPods(namespaces: string | undefined, selector: string | undefined): DrainSelection {
  const hasLabels = parseLabelSelector(selector ?? '');
  const isExcluding = namespaces?.startsWith('!') === true;
  const names = new Set(namespaces?.replaceAll('!', '').split(','));
  const isIn = (namespace: string) => namespaces === undefined || names.has(namespace) !== isExcluding;
  return ({ namespace, labels }) => isIn(namespace) && hasLabels(labels);
}
