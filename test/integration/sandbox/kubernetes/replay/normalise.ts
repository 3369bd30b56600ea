const uid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const time = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g;

/** Replaced wherever they stand: what no two servers have in common. */
const volatileTexts: readonly (readonly [RegExp, string])[] = [
  [uid, '<uid>'],
  [time, '<time>'],
  [/ResourceVersion in (the precondition|record) \(\d+\)/g, 'ResourceVersion in $1 (<version>)'],
  [/too old resource version: (\d+) \(\d+\)/g, 'too old resource version: $1 (<version>)'],
  [/, current: \d+/g, ', current: <version>'],
  // The server quotes the whole object; the recordings shorten it.
  [/Invalid value: "\{.*\}": /gs, 'Invalid value: <object>: '],
  // Behind this stands a diff of Go structures.
  [/\n@@.*/gs, ''],
];

const volatileFields: Readonly<Record<string, string>> = {
  resourceVersion: '<version>',
  continue: '<continue>',
  token: '<token>',
  expirationTimestamp: '<time>',
  // How long ago the API server was built, and from what.
  gitCommit: '<build>',
  buildDate: '<build>',
};

/**
 * The value with everything volatile replaced, so that a recorded and a double's answer can be compared as they are.
 * Causes of a refusal are compared as a set: how often one stands there says only how many passes validation has.
 */
export function normalise(value: unknown, generated: readonly RegExp[] = []): unknown {
  if (typeof value === 'string') {
    const named = generated.reduce((text, name) => text.replaceAll(name, '<generated>'), value);
    return volatileTexts.reduce((text, [pattern, placeholder]) => text.replaceAll(pattern, placeholder), named);
  }
  if (Array.isArray(value)) return value.map((item) => normalise(item, generated));
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).map(([key, field]): [string, unknown] => {
    const placeholder = volatileFields[key];
    if (placeholder !== undefined && typeof field === 'string') return [key, placeholder];
    const below = normalise(field, generated);
    if (!Array.isArray(below)) return [key, below];
    if (key === 'causes') return [key, distinct(below)];
    // Names that the server made up put a list in an order that is chance.
    return [key, key === 'items' && generated.length > 0 ? sorted(below) : below];
  });
  return Object.fromEntries(entries);
}

function distinct(causes: readonly unknown[]): unknown[] {
  return [...new Set(causes.map((cause) => JSON.stringify(cause)))].map((cause) => JSON.parse(cause) as unknown);
}

function sorted(items: readonly unknown[]): unknown[] {
  const texts = items.map((item) => JSON.stringify(item, sortedKeys)).sort();
  return texts.map((text) => JSON.parse(text) as unknown);
}

/** A replacer that gives the same text for the same object, in whatever order its fields came. */
export function sortedKeys(_: string, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
