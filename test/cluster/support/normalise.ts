const uid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const time = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g;

/** Replaced wherever they stand: what no two servers have in common. */
const volatileTexts: readonly (readonly [RegExp, string])[] = [
  [uid, '<uid>'],
  [time, '<time>'],
  [/ResourceVersion in (the precondition|record) \(\d+\)/g, 'ResourceVersion in $1 (<version>)'],
  [/too old resource version: (\d+) \(\d+\)/g, 'too old resource version: $1 (<version>)'],
  [/, current: \d+/g, ', current: <version>'],
  // Kubernetes quotes the whole object here, in Go's order of fields.
  [/Invalid value: "\{.*\}": /gs, 'Invalid value: <object>: '],
  // Behind this stands a diff of Go structures.
  [/\n@@.*/gs, ''],
];

/** What the double does not keep: who set which field, a note of the node controller, and empty facts of a node. */
const notKept: ReadonlySet<string> = new Set([
  'managedFields',
  'node.alpha.kubernetes.io/ttl',
  'nodeInfo',
  'daemonEndpoints',
]);

const volatileFields: Readonly<Record<string, string>> = {
  resourceVersion: '<version>',
  continue: '<continue>',
  token: '<token>',
  expirationTimestamp: '<time>',
  // How long ago the API server was built, and from what.
  gitCommit: '<build>',
  buildDate: '<build>',
  gitVersion: '<build>',
  gitTreeState: '<build>',
  goVersion: '<build>',
};

/**
 * The value with everything volatile replaced, so that the answers of two servers can be compared as they are.
 * Causes of a refusal are compared as a set: how often one stands there says only how many passes validation has.
 */
export function normalise(value: unknown, generated: readonly RegExp[] = []): unknown {
  if (typeof value === 'string') {
    const named = generated.reduce((text, name) => text.replaceAll(name, '<generated>'), value);
    return volatileTexts.reduce((text, [pattern, placeholder]) => text.replaceAll(pattern, placeholder), named);
  }
  if (Array.isArray(value)) return value.map((item) => normalise(item, generated));
  if (value === null || typeof value !== 'object') return value;
  const kept = Object.entries(value).filter(
    ([key, field]) => !notKept.has(key) && field !== null && !isNote(key, field),
  );
  const entries = kept.map(([key, field]): [string, unknown] => {
    const placeholder = volatileFields[key];
    if (placeholder !== undefined && typeof field === 'string') return [key, placeholder];
    const below = normalise(field, generated);
    if (!Array.isArray(below)) return [key, below];
    if (key === 'causes') return [key, distinct(below)];
    // Controllers write theirs in the order in which they come.
    if (key === 'conditions') return [key, sorted(below)];
    // Names that the server made up put a list in an order that is chance.
    return [key, key === 'items' && generated.length > 0 ? sorted(below) : below];
  });
  return Object.fromEntries(entries);
}

/** Annotations without any but the node controller's own. */
function isNote(key: string, field: unknown): boolean {
  return key === 'annotations' && Object.keys(Object(field)).every((name) => notKept.has(name));
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
