import type { User } from '../access/user.ts';
import type { Registry } from '../registry/registry.ts';
import type { Resource } from '../registry/resource.ts';
import type { Representation } from './answer.ts';
import type { ResourcePath } from './target.ts';

/** A parsed and authorized request on a resource. */
export interface Call {
  readonly registry: Registry;
  readonly of: Resource;
  readonly at: ResourcePath;
  readonly query: URLSearchParams;
  readonly mediaType: string;
  readonly body: string;
  readonly representation: Representation;
  readonly user: User;
}

export function isDryRun(query: URLSearchParams): boolean {
  return query.getAll('dryRun').includes('All');
}

/** The name in the path. The router ensures that there is one. */
export function nameOf(call: Call): string {
  return call.at.name ?? '';
}
