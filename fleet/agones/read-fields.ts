import { grpcCodes } from './grpc-code.ts';
import { RequestError } from './request-error.ts';

/**
 * Fields of a JSON object by protobuf's rules: null and absent mean the default, and unknown names are ignored. Wrong
 * types throw a RequestError.
 */
export type Fields = Readonly<Record<string, unknown>>;

function wrong(path: string, expected: string): RequestError {
  return new RequestError(`Invalid ${path}: expected ${expected}`, { code: grpcCodes.invalidArgument });
}

export function fieldsOf(value: unknown, path: string): Fields {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw wrong(path, 'an object');
  return value as Fields;
}

export function textOf(value: unknown, path: string): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw wrong(path, 'a text');
  return value;
}

export function flagOf(value: unknown, path: string): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value !== 'boolean') throw wrong(path, 'true or false');
  return value;
}

/** Accepts an int64 as a number or as a text. */
export function integerOf(value: unknown, path: string): number {
  if (value === undefined || value === null) return 0;
  const number = typeof value === 'string' && /^-?\d{1,19}$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number)) throw wrong(path, 'a whole number');
  return number;
}

/** Accepts an enum by name or by number. */
export function wordOf<T extends string>(value: unknown, path: string, words: readonly [T, ...T[]]): T {
  if (value === undefined || value === null) return words[0];
  const word = typeof value === 'number' ? words[value] : words.find((known) => known === value);
  if (word === undefined) throw wrong(path, words.join(' or '));
  return word;
}

export function listOf<T>(value: unknown, path: string, read: (item: unknown, path: string) => T): readonly T[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw wrong(path, 'a list');
  return value.map((item, index) => read(item, `${path}[${index}]`));
}

export function mapOf<T>(
  value: unknown,
  path: string,
  read: (item: unknown, path: string) => T,
): Readonly<Record<string, T>> {
  return Object.fromEntries(
    Object.entries(fieldsOf(value, path)).map(([key, item]) => [key, read(item, `${path}.${key}`)]),
  );
}
