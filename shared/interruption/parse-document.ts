const maxQuote = 120;

/** Any value, shortened for a log line. */
export function quote(value: unknown): string {
  return (JSON.stringify(value) ?? 'undefined').slice(0, maxQuote);
}

export function parseObject(
  body: string,
): { readonly fields: Readonly<Record<string, unknown>> } | { readonly garbage: string } {
  const { value, garbage } = parseJson(body);
  if (garbage !== undefined) return { garbage };
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { garbage: `not an object: ${quote(body)}` };
  return { fields: value as Readonly<Record<string, unknown>> };
}

export function parseArray(body: string): { readonly items: readonly unknown[] } | { readonly garbage: string } {
  const { value, garbage } = parseJson(body);
  if (garbage !== undefined) return { garbage };
  return Array.isArray(value) ? { items: value } : { garbage: `not an array: ${quote(body)}` };
}

function parseJson(body: string): { readonly value?: unknown; readonly garbage?: string } {
  try {
    // trim() also removes a byte order mark, which is not valid JSON.
    return { value: JSON.parse(body.trim()) };
  } catch {
    return { garbage: `not JSON: ${quote(body)}` };
  }
}
