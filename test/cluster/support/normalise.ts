const uid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const time = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g;

/** Texts that differ between any two servers, replaced wherever they occur. */
const volatileTexts: readonly (readonly [RegExp, string])[] = [
  [uid, '<uid>'],
  [time, '<time>'],
  [/ResourceVersion in (the precondition|record) \(\d+\)/g, 'ResourceVersion in $1 (<version>)'],
  [/too old resource version: (\d+) \(\d+\)/g, 'too old resource version: $1 (<version>)'],
  [/, current: \d+/g, ', current: <version>'],
  // Kubernetes quotes the whole object here, in Go's order of fields.
  [/Invalid value: "\{.*\}": /gs, 'Invalid value: <object>: '],
  // A diff of Go structures follows here.
  [/\n@@.*/gs, ''],
];

/**
 * Fields that the double does not keep: the managers of fields, a note of the node controller, and empty facts of a
 * node.
 */
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
  // Build time and source of the API server.
  gitCommit: '<build>',
  buildDate: '<build>',
  gitVersion: '<build>',
  gitTreeState: '<build>',
  goVersion: '<build>',
};

/**
 * Replaces everything volatile in the value, so that the answers of two servers can be compared directly. Compares
 * causes of a refusal as a set: repetitions only show how many passes validation has.
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
    // Controllers write conditions in the order of their own runs.
    if (key === 'conditions') return [key, sorted(below)];
    // Names that the server generated give a list a random order.
    return [key, key === 'items' && generated.length > 0 ? sorted(below) : below];
  });
  return Object.fromEntries(entries);
}

/** Annotations other than the node controller's own. */
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

/** A replacer that gives the same text for the same object, whatever the order of its fields. */
export function sortedKeys(_: string, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
