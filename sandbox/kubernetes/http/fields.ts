import type { JsonMap } from '../patch/merge-patch.ts';
import { decode } from '../schema/decode.ts';

/** A client's JSON in typed form, or the complaint for its refusal. */
export type Typed =
  | { readonly kind: 'typed'; readonly value: JsonMap; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: 'refused'; readonly complaint: string };

/**
 * Applies types to a body as the query's fieldValidation asks: Strict refuses unknown fields, Warn (the default) drops
 * them with a warning header, Ignore drops them silently.
 */
export function typed(model: string, json: JsonMap, query: URLSearchParams): Typed {
  const decoded = decode(model, json);
  if (decoded.kind === 'mistyped') return { kind: 'refused', complaint: decoded.complaint };
  const complaints = decoded.unknown.map((field) => `unknown field "${field}"`);
  const validation = query.get('fieldValidation') ?? 'Warn';
  if (validation === 'Strict' && complaints.length > 0) {
    return { kind: 'refused', complaint: `strict decoding error: ${complaints.join(', ')}` };
  }
  const warns = validation !== 'Ignore' && complaints.length > 0;
  const warning = complaints.map((text) => `299 - "${text.replaceAll('"', '\\"')}"`).join(', ');
  return { kind: 'typed', value: decoded.value, headers: warns ? { warning } : {} };
}
