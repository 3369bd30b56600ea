import type { Resource, Subresource } from '../registry/resource.ts';
import { type Review, resources, reviews } from '../registry/table.ts';

/** The parts of a resource's path, whether or not the resource exists: rights are checked first. */
export interface ResourcePath {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
}

export type Target =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'unknown'; readonly at: ResourcePath }
  | { readonly kind: 'review'; readonly at: ResourcePath; readonly review: Review }
  | {
      readonly kind: 'resource';
      readonly at: ResourcePath;
      readonly resource: Resource;
      readonly subresource?: Subresource;
    };

const groups: ReadonlySet<string> = new Set([...resources, ...reviews].map((one) => `${one.group}/${one.version}`));

/** Parses a path. A group that the double does not serve is a plain path. */
export function targetOf(path: string): Target {
  const at = parse(path);
  if (at === undefined || !groups.has(`${at.group}/${at.version}`)) return { kind: 'path', path };
  const fits = (one: { group: string; version: string; plural: string }): boolean =>
    one.group === at.group && one.version === at.version && one.plural === at.plural;
  const review = reviews.find(fits);
  if (review !== undefined && at.name === undefined) return { kind: 'review', at, review };
  const resource = resources.find(fits);
  if (resource === undefined || (at.namespace !== undefined && !resource.namespaced)) return { kind: 'unknown', at };
  const subresource = resource.subresources.find((one) => one === at.subresource);
  if (at.subresource !== undefined && subresource === undefined) return { kind: 'unknown', at };
  return { kind: 'resource', at, resource, ...(subresource === undefined ? {} : { subresource }) };
}

function parse(path: string): ResourcePath | undefined {
  const parts = path.split('/').slice(1);
  if (parts.at(-1) === '') parts.pop();
  const decoded = parts.map(decodeSegment);
  if (decoded.includes(undefined)) return undefined;
  const [root, ...rest] = decoded as string[];
  const group = root === 'api' ? '' : root === 'apis' ? rest.shift() : undefined;
  const [version, first, second, third, fourth, fifth, ...more] = rest;
  if (group === undefined || version === undefined || first === undefined || more.length > 0) return undefined;
  // /namespaces/NAME/status is a Namespace's own subresource, /namespaces/NAME/pods a resource within it.
  if (first === 'namespaces' && third !== undefined && third !== 'status') {
    return { group, version, plural: third, ...given({ namespace: second, name: fourth, subresource: fifth }) };
  }
  if (fourth !== undefined) return undefined;
  return { group, version, plural: first, ...given({ name: second, subresource: third }) };
}

function decodeSegment(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

function given<T extends Record<string, string | undefined>>(values: T): { [K in keyof T]?: string } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: string;
  };
}

/** The verb for an HTTP method on a resource, as in RBAC; undefined if the method does not fit there. */
export function verbOf(method: string, at: ResourcePath, isWatch: boolean): string | undefined {
  const named = at.name !== undefined;
  switch (method) {
    case 'GET':
    case 'HEAD':
      return named ? 'get' : isWatch ? 'watch' : 'list';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return named ? 'delete' : 'deletecollection';
    default:
      return undefined;
  }
}
