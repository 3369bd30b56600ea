export type JsonValue = unknown;
export type JsonMap = Record<string, JsonValue>;

export function isMap(value: JsonValue): value is JsonMap {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** JSON Merge Patch, RFC 7386: null removes, maps merge, anything else replaces. Changes neither argument. */
export function mergePatch(target: JsonValue, patch: JsonValue): JsonValue {
  if (!isMap(patch)) return patch;
  const result: JsonMap = isMap(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else set(result, key, mergePatch(result[key], value));
  }
  return result;
}

/** Sets a member even if its name is "__proto__", which an assignment would treat as the prototype. */
export function set(map: JsonMap, key: string, value: JsonValue): void {
  Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
}
