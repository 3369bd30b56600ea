import type { Notice } from './interruption.ts';

/**
 * The notices in a body. `remarks` name unreadable parts and the assumptions made for them. `garbage`: the body is not
 * from the metadata service (a proxy's error page, for example); it is counted and requested again, never acted upon.
 */
export type ParsedNotices =
  | { readonly notices: readonly Notice[]; readonly remarks: readonly string[] }
  | { readonly garbage: string };
