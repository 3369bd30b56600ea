const dateAndTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/;
const zone = /^(Z|[+-]\d\d:\d\d)$/;

/** Either the text in the API server's form, or a complaint in the words of Go's time.Parse. */
export type ParsedTime = { readonly text: string } | { readonly complaint: string };

function complaint(text: string, layout: string, rest: string, expected: string): ParsedTime {
  return { complaint: `parsing time "${text}" as "${layout}": cannot parse "${rest}" as "${expected}"` };
}

/** metav1.Time: RFC 3339; fractions are dropped, and the zone becomes UTC. */
export function parseTime(text: string): ParsedTime {
  const layout = '2006-01-02T15:04:05Z07:00';
  const head = dateAndTime.exec(text)?.[0];
  if (head === undefined || Number.isNaN(Date.parse(`${head}Z`))) return complaint(text, layout, text, '2006');
  const rest = text.slice(head.length).replace(/^\.\d+/, '');
  if (!zone.test(rest)) return complaint(text, layout, rest, 'Z07:00');
  return { text: new Date(Date.parse(`${head}${rest}`)).toISOString().replace('.000Z', 'Z') };
}

/** metav1.MicroTime: the fraction must have six digits, which `toISOString()` does not print. */
export function parseMicroTime(text: string): ParsedTime {
  const layout = '2006-01-02T15:04:05.000000Z07:00';
  const head = dateAndTime.exec(text)?.[0];
  if (head === undefined || Number.isNaN(Date.parse(`${head}Z`))) return complaint(text, layout, text, '2006');
  const rest = text.slice(head.length);
  const fraction = /^\.\d{6}(?!\d)/.exec(rest)?.[0];
  if (fraction === undefined) return complaint(text, layout, rest, '.000000');
  const last = rest.slice(fraction.length);
  if (!zone.test(last)) return complaint(text, layout, last, 'Z07:00');
  const second = new Date(Date.parse(`${head}${last}`)).toISOString().slice(0, 19);
  return { text: `${second}${fraction}Z` };
}

/** Now as a MicroTime. */
export function microTimestamp(nowMs: number): string {
  return new Date(nowMs).toISOString().replace('Z', '000Z');
}
