import type { Notice } from '../../../shared/interruption/interruption.ts';

/** A body that makes no sense is told apart from "nothing announced": it is counted and asked again, never acted upon. */
export type ParsedNotices = { readonly notices: readonly Notice[] } | { readonly garbage: string };
