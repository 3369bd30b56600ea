import { isDeepStrictEqual } from 'node:util';
import { isMap, type JsonMap, type JsonValue, set } from './merge-patch.ts';

export interface JsonPatchOperation {
  readonly op: string;
  readonly path: string;
  readonly from?: string;
  readonly value?: JsonValue;
}

/**
 * JSON Patch, RFC 6902: the patched copy, or undefined when an operation cannot be carried out. The API server tells
 * a failing `test` from a missing path or an unknown op no more than this does.
 */
export function jsonPatch(target: JsonValue, operations: readonly JsonPatchOperation[]): JsonValue | undefined {
  const root: JsonMap = { root: structuredClone(target) };
  for (const operation of operations) {
    if (!apply(root, operation)) return undefined;
  }
  return root['root'];
}

function apply(root: JsonMap, operation: JsonPatchOperation): boolean {
  const path = parsePointer(operation.path);
  if (path === undefined) return false;
  switch (operation.op) {
    case 'add':
      return 'value' in operation && add(root, path, structuredClone(operation.value));
    case 'remove':
      return remove(root, path) !== absent;
    case 'replace':
      return 'value' in operation && replace(root, path, structuredClone(operation.value));
    case 'test':
      return isDeepStrictEqual(read(root, path), operation.value ?? null);
    case 'move':
      return move(root, path, operation.from);
    case 'copy':
      return copy(root, path, operation.from);
    default:
      return false;
  }
}

const absent: unique symbol = Symbol('absent');

/** The pointer's parts below a made-up root, so that the empty pointer, the whole document, needs no case of its own. */
function parsePointer(pointer: string | undefined): string[] | undefined {
  if (pointer === undefined || (pointer !== '' && !pointer.startsWith('/'))) return undefined;
  const parts = pointer.split('/').slice(1);
  return ['root', ...parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))];
}

function read(from: JsonValue, path: readonly string[]): JsonValue | typeof absent {
  let value: JsonValue = from;
  for (const part of path) {
    if (Array.isArray(value)) {
      const index = indexIn(value, part);
      if (index === undefined || index >= value.length) return absent;
      value = value[index];
    } else if (isMap(value) && Object.hasOwn(value, part)) {
      value = value[part];
    } else {
      return absent;
    }
  }
  return value;
}

function indexIn(list: readonly JsonValue[], part: string): number | undefined {
  if (!/^(0|[1-9]\d*)$/.test(part)) return undefined;
  const index = Number(part);
  return index <= list.length ? index : undefined;
}

function parentOf(root: JsonMap, path: readonly string[]): JsonValue | typeof absent {
  return read(root, path.slice(0, -1));
}

function add(root: JsonMap, path: readonly string[], value: JsonValue): boolean {
  const parent = parentOf(root, path);
  const last = path.at(-1) ?? '';
  if (Array.isArray(parent)) {
    const index = last === '-' ? parent.length : indexIn(parent, last);
    if (index === undefined) return false;
    parent.splice(index, 0, value);
    return true;
  }
  if (!isMap(parent)) return false;
  set(parent, last, value);
  return true;
}

function remove(root: JsonMap, path: readonly string[]): JsonValue | typeof absent {
  const value = read(root, path);
  if (value === absent) return absent;
  const parent = parentOf(root, path);
  const last = path.at(-1) ?? '';
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else if (isMap(parent)) delete parent[last];
  return value;
}

function replace(root: JsonMap, path: readonly string[], value: JsonValue): boolean {
  return remove(root, path) !== absent && add(root, path, value);
}

function move(root: JsonMap, path: readonly string[], from: string | undefined): boolean {
  const source = parsePointer(from);
  // A value cannot become its own descendant (RFC 6902, 4.4).
  if (source === undefined || isProperPrefix(source, path)) return false;
  const value = remove(root, source);
  return value !== absent && add(root, path, value);
}

function copy(root: JsonMap, path: readonly string[], from: string | undefined): boolean {
  const source = parsePointer(from);
  const value = source === undefined ? absent : read(root, source);
  return value !== absent && add(root, path, structuredClone(value));
}

function isProperPrefix(prefix: readonly string[], path: readonly string[]): boolean {
  return prefix.length < path.length && prefix.every((part, index) => path[index] === part);
}
