import type { Notice } from './interruption.ts';

/**
 * What a body announces. `remarks` say what in it could not be read, and what was assumed in its place. `garbage`: the body comes from something
 * else than the metadata service (an error page of a proxy, for example); it is counted and asked for again, never acted upon.
 */
export type ParsedNotices =
  | { readonly notices: readonly Notice[]; readonly remarks: readonly string[] }
  | { readonly garbage: string };
