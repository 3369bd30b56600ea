import { isMap, type JsonMap, type JsonValue, set } from '../patch/merge-patch.ts';
import { fieldsOf, goName, type Shape } from './schema.ts';
import { parseMicroTime, parseTime } from './times.ts';

/** `unknown`: the paths of fields that the resource does not have; `value` omits them. */
export type Decoded =
  | { readonly kind: 'decoded'; readonly value: JsonMap; readonly unknown: readonly string[] }
  | { readonly kind: 'mistyped'; readonly complaint: string };

interface Place {
  /** The Go name of the structure that has the field. */
  readonly owner: string;
  readonly path: string;
}

class Mistyped extends Error {}

/**
 * Reads JSON as Go reads it into the typed structure: drops unknown fields, treats null as absent, prints times in
 * their standard form, and drops what Go's `omitempty` drops (empty lists and maps, false for the plain booleans).
 */
export function decode(model: string, json: JsonMap): Decoded {
  const unknown: string[] = [];
  try {
    const value = decodeObject(model, json, '', unknown);
    return { kind: 'decoded', value, unknown };
  } catch (error) {
    if (error instanceof Mistyped) return { kind: 'mistyped', complaint: error.message };
    throw error;
  }
}

function decodeObject(model: string, json: JsonMap, path: string, unknown: string[]): JsonMap {
  const fields = fieldsOf(model);
  const owner = goName(model);
  const result: JsonMap = { ...structuredClone(zeroValues[model]) };
  for (const [field, value] of Object.entries(json)) {
    const shape = fields.get(field);
    const below = path === '' ? field : `${path}.${field}`;
    if (shape === undefined) unknown.push(below);
    else if (value !== null) {
      const decoded = decodeValue(shape, value, { owner, path: below }, unknown);
      if (!isLeftOut(shape, decoded, owner, field)) set(result, field, decoded);
    }
  }
  return result;
}

function decodeValue(shape: Shape, value: JsonValue, place: Place, unknown: string[]): JsonValue {
  switch (shape.kind) {
    case 'object':
      if (!isMap(value)) throw mistyped(value, shape, place);
      return decodeObject(shape.model, value, place.path, unknown);
    case 'list':
      if (!Array.isArray(value)) throw mistyped(value, shape, place);
      return value.map((item: JsonValue, index) =>
        decodeValue(shape.item, item, { ...place, path: indexed(place.path, index, shape.item) }, unknown),
      );
    case 'map':
      return decodeMap(shape.value, value, place, unknown);
    case 'time':
    case 'micro-time':
      return decodeTime(shape, value, place);
    case 'int-or-string':
      if (typeof value !== 'string' && typeof value !== 'number') throw mistyped(value, shape, place);
      return value;
    case 'string':
    case 'boolean':
    case 'number':
      if (typeof value !== shape.kind) throw mistyped(value, shape, place);
      return value;
    case 'any':
      return value;
    default:
      return shape satisfies never;
  }
}

/**
 * Report unknown fields with the index and type errors without it, because Go's decoder does not know the index there.
 */
function indexed(path: string, index: number, item: Shape): string {
  return item.kind === 'object' ? `${path}[${index}]` : path;
}

/** Quantities are strings in the schema, but a plain number is accepted too. */
const quantities = /\.(requests|limits|capacity|allocatable|overhead)$/;

function decodeMap(shape: Shape, value: JsonValue, place: Place, unknown: string[]): JsonMap {
  if (!isMap(value)) throw mistyped(value, { kind: 'map', value: shape }, place);
  const result: JsonMap = {};
  for (const [key, entry] of Object.entries(value)) {
    if (entry === null) continue;
    const asText = typeof entry === 'number' && quantities.test(place.path) ? String(entry) : entry;
    set(result, key, decodeValue(shape, asText, place, unknown));
  }
  return result;
}

function decodeTime(shape: Shape, value: JsonValue, place: Place): string {
  if (typeof value !== 'string') throw mistyped(value, shape, place);
  const parsed = shape.kind === 'time' ? parseTime(value) : parseMicroTime(value);
  if ('complaint' in parsed) throw new Mistyped(parsed.complaint);
  return parsed.text;
}

function mistyped(value: JsonValue, expected: Shape, { owner, path }: Place): Mistyped {
  const found = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
  const field = `${owner}.${path.replaceAll(/\[\d+\]/g, '')}`;
  return new Mistyped(`json: cannot unmarshal ${found} into Go struct field ${field} of type ${goType(expected)}`);
}

function goType(shape: Shape): string {
  switch (shape.kind) {
    case 'object':
      return `v1.${goName(shape.model)}`;
    case 'list':
      return `[]${goType(shape.item)}`;
    case 'map':
      return `map[string]${goType(shape.value)}`;
    case 'boolean':
      return 'bool';
    case 'number':
      return 'int32';
    case 'time':
    case 'string':
    case 'micro-time':
    case 'int-or-string':
    case 'any':
      return 'string';
    default:
      return shape satisfies never;
  }
}

/** Booleans that are not pointers in Go: false equals absent. */
const plainBooleans: ReadonlySet<string> = new Set([
  'NodeSpec.unschedulable',
  'PodSpec.hostNetwork',
  'PodSpec.hostPID',
  'PodSpec.hostIPC',
  'Container.stdin',
  'Container.stdinOnce',
  'Container.tty',
  'VolumeMount.readOnly',
  'DeploymentSpec.paused',
]);

/** Plain strings that `omitempty` drops if empty and that clients do send empty. */
const plainStrings: ReadonlySet<string> = new Set([
  'ObjectMeta.generateName',
  'ObjectMeta.namespace',
  'ObjectMeta.resourceVersion',
  'ObjectMeta.uid',
  'PodSpec.nodeName',
  'Taint.value',
]);

/** Lists and maps without `omitempty`. */
const shownEmpty: ReadonlySet<string> = new Set(['Role.rules', 'ClusterRole.rules']);

/** Fields without `omitempty`, which are printed even if absent. */
const zeroValues: Readonly<Record<string, JsonMap>> = {
  V1Container: { resources: {} },
  V1ContainerStatus: { image: '', imageID: '', lastState: {}, ready: false, restartCount: 0 },
  V1PodCondition: { lastProbeTime: null, lastTransitionTime: null },
  V1Condition: { message: '' },
  V1PodDisruptionBudgetStatus: { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 },
  V1ReplicaSetStatus: { replicas: 0 },
  CoreV1Event: {
    involvedObject: {},
    source: {},
    firstTimestamp: null,
    lastTimestamp: null,
    eventTime: null,
    reportingComponent: '',
    reportingInstance: '',
  },
  EventsV1Event: {
    eventTime: null,
    regarding: {},
    deprecatedSource: {},
    deprecatedFirstTimestamp: null,
    deprecatedLastTimestamp: null,
  },
};

function isLeftOut(shape: Shape, value: JsonValue, owner: string, field: string): boolean {
  const name = `${owner}.${field}`;
  if (shape.kind === 'list') return Array.isArray(value) && value.length === 0 && !shownEmpty.has(name);
  if (shape.kind === 'map') return isMap(value) && Object.keys(value).length === 0;
  if (value === false) return plainBooleans.has(name);
  return value === '' && plainStrings.has(name);
}
