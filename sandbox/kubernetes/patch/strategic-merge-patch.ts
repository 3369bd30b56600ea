import { isDeepStrictEqual } from 'node:util';
import { fieldsOf, goName, type Shape } from '../schema/schema.ts';
import { internalError, Refusal } from '../status-errors.ts';
import { isReplacedAsWhole, listStrategy } from './merge-keys.ts';
import { isMap, type JsonMap, type JsonValue, set } from './merge-patch.ts';

const directive = '$patch';
const orderPrefix = '$setElementOrder/';
const removalPrefix = '$deleteFromPrimitiveList/';
const retainKeys = '$retainKeys';

/**
 * Strategic merge patch: like a merge patch, but lists with a declared merge key are merged by it. `model` is the
 * schema's name of the target, such as V1Node. Refuses a list item without its merge key (500, as the API server does).
 * Changes neither argument.
 */
export function strategicMergePatch(model: string, target: JsonMap, patch: JsonMap): JsonMap {
  return mergeObject(model, target, patch) ?? {};
}

/** Undefined if the patch deletes the map. */
function mergeObject(model: string | undefined, target: JsonMap, patch: JsonMap): JsonMap | undefined {
  if (patch[directive] === 'delete') return undefined;
  if (patch[directive] === 'replace') return withoutDirectives(patch);
  const result: JsonMap = retained(target, patch[retainKeys]);
  const fields = model === undefined ? undefined : fieldsOf(model);
  const owner = model === undefined ? '' : goName(model);
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(removalPrefix)) removeFromSet(result, key.slice(removalPrefix.length), value);
    else if (key.startsWith('$')) continue;
    else if (value === null) delete result[key];
    else mergeField(result, key, value, { owner, shape: fields?.get(key), order: patch[orderPrefix + key] });
  }
  return result;
}

interface Field {
  readonly owner: string;
  readonly shape: Shape | undefined;
  readonly order: JsonValue;
}

function mergeField(result: JsonMap, key: string, value: JsonValue, { owner, shape, order }: Field): void {
  const current = result[key];
  if (isMap(value)) {
    const base = isMap(current) && !isReplacedAsWhole(owner, key) ? current : {};
    const merged = mergeObject(shape?.kind === 'object' ? shape.model : undefined, base, value);
    if (merged === undefined) delete result[key];
    else set(result, key, merged);
    return;
  }
  const strategy = Array.isArray(value) ? listStrategy(owner, key) : undefined;
  if (!Array.isArray(value) || strategy === undefined) {
    set(result, key, Array.isArray(value) ? value.filter((item) => !isDirectiveOnly(item)) : value);
    return;
  }
  const list: readonly JsonValue[] = Array.isArray(current) ? current : [];
  const itemModel = shape?.kind === 'list' && shape.item.kind === 'object' ? shape.item.model : undefined;
  const isKeyed = strategy.kind === 'by-key';
  const same: Same = isKeyed
    ? (a, b) => isDeepStrictEqual(keyOf(a, strategy.key), keyOf(b, strategy.key))
    : isDeepStrictEqual;
  const merged = isKeyed
    ? mergeList(itemModel, list, value, strategy.key)
    : [...list, ...value.filter((item: JsonValue) => !list.some((one) => same(one, item)))];
  set(result, key, arranged(merged, Array.isArray(order) ? order : value, list, same));
}

type Same = (a: JsonValue, b: JsonValue) => boolean;

function keyOf(item: JsonValue, key: string): JsonValue {
  return isMap(item) ? item[key] : item;
}

function mergeList(
  model: string | undefined,
  target: readonly JsonValue[],
  patch: readonly JsonValue[],
  key: string,
): JsonValue[] {
  const replaces = patch.some((item) => isDirectiveOnly(item) && isMap(item) && item[directive] === 'replace');
  const result = replaces ? [] : [...target];
  for (const item of patch) {
    if (isDirectiveOnly(item)) continue;
    if (!isMap(item) || !Object.hasOwn(item, key)) {
      throw new Refusal(internalError(`map: ${goPrint(item)} does not contain declared merge key: ${key}`));
    }
    const at = result.findIndex((existing) => isMap(existing) && isDeepStrictEqual(existing[key], item[key]));
    const existing = result[at];
    const merged = mergeObject(model, isMap(existing) ? existing : {}, item);
    if (merged === undefined) {
      if (at >= 0) result.splice(at, 1);
    } else if (at >= 0) result[at] = merged;
    else result.push(merged);
  }
  return result;
}

/**
 * The order of a merged list: items that the patch names (in `$setElementOrder`, or at all) in the patch's order, the
 * others in their old order. Of the next item of each kind, the one that the old list had first comes first, or the
 * patch's item if it is new.
 */
function arranged(
  merged: readonly JsonValue[],
  patchOrder: readonly JsonValue[],
  before: readonly JsonValue[],
  same: Same,
): JsonValue[] {
  const rank = (order: readonly JsonValue[], item: JsonValue): number => order.findIndex((one) => same(one, item));
  const sorted = (items: readonly JsonValue[], order: readonly JsonValue[]): JsonValue[] =>
    items.toSorted((a, b) => rank(order, a) - rank(order, b));
  const named = sorted(
    merged.filter((item) => rank(patchOrder, item) >= 0),
    patchOrder,
  );
  const others = sorted(
    merged.filter((item) => rank(patchOrder, item) < 0),
    before,
  );
  const result: JsonValue[] = [];
  while (named.length > 0 && others.length > 0) {
    const [first, second] = [rank(before, others[0]), rank(before, named[0])];
    result.push((second >= 0 && first < second ? others : named).shift());
  }
  return [...result, ...others, ...named];
}

function retained(target: JsonMap, keep: JsonValue): JsonMap {
  if (!Array.isArray(keep)) return { ...target };
  return Object.fromEntries(Object.entries(target).filter(([key]) => keep.includes(key)));
}

function removeFromSet(result: JsonMap, key: string, values: JsonValue): void {
  const current = result[key];
  if (!Array.isArray(current) || !Array.isArray(values)) return;
  set(
    result,
    key,
    current.filter((item) => !values.some((value: JsonValue) => isDeepStrictEqual(value, item))),
  );
}

function isDirectiveOnly(item: JsonValue): boolean {
  return isMap(item) && Object.keys(item).length === 1 && typeof item[directive] === 'string';
}

function withoutDirectives(patch: JsonMap): JsonMap {
  return Object.fromEntries(Object.entries(patch).filter(([key, value]) => !key.startsWith('$') && value !== null));
}

/** A value as Go's %v prints it, because the API server's message quotes the list item that way. */
export function goPrint(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(goPrint).join(' ')}]`;
  if (!isMap(value)) return value === null ? '<nil>' : String(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${entries.map(([key, entry]) => `${key}:${goPrint(entry)}`).join(' ')}]`;
}
