import type { Parse } from '../../shared/settings/setting.ts';
import { maxListCapacity, maxValueCharacters } from './model/list-calls.ts';
import type { Counter, List } from './model/sdk-model.ts';

/** `rooms=1/10`: the content of a GameServer's spec in Agones. */
export const sdkCounter: Parse<readonly [string, Counter]> = (text) => {
  const [, name = '', count = '0', capacity = '0'] = /^([\w.-]{1,63})=(\d{1,18})\/(\d{1,18})$/.exec(text) ?? [];
  const counter = { count: BigInt(count), capacity: BigInt(capacity) };
  if (name !== '' && counter.count <= counter.capacity) return { value: [name, counter] };
  return { expected: 'NAME=COUNT/CAPACITY such as rooms=1/10, the count at most the capacity' };
};

/** `players=100`, or with the list's initial values: `players=100:alice,bob`. */
export const sdkList: Parse<readonly [string, List]> = (text) => {
  const expected = `NAME=CAPACITY such as players=100, at most ${maxListCapacity}, or with its first values players=100:alice,bob`;
  const [, name = '', digits = '0', first] = /^([\w.-]{1,63})=(\d{1,9})(?::(.+))?$/s.exec(text) ?? [];
  const list = { capacity: BigInt(digits), values: first?.split(',') ?? [] };
  if (name === '' || list.capacity > maxListCapacity) return { expected };
  const areFit = list.values.every(({ length }) => length > 0 && length <= maxValueCharacters);
  if (!areFit || new Set(list.values).size < list.values.length)
    return { expected: `${expected}; each value once, with 1 to ${maxValueCharacters} characters` };
  if (BigInt(list.values.length) > list.capacity) return { expected: `${expected}; no more values than the capacity` };
  return { value: [name, list] };
};
