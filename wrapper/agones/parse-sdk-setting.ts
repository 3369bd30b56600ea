import type { Parse } from '../../shared/settings/setting.ts';
import { maxListCapacity } from './model/list-calls.ts';
import type { Counter } from './model/sdk-model.ts';

/** `rooms=1/10`: what a GameServer's spec says in Agones. */
export const sdkCounter: Parse<readonly [string, Counter]> = (text) => {
  const [, name = '', count = '0', capacity = '0'] = /^([\w.-]{1,63})=(\d{1,18})\/(\d{1,18})$/.exec(text) ?? [];
  const counter = { count: BigInt(count), capacity: BigInt(capacity) };
  if (name !== '' && counter.count <= counter.capacity) return { value: [name, counter] };
  return { expected: 'NAME=COUNT/CAPACITY such as rooms=1/10, the count at most the capacity' };
};

/** `players=100`: an empty list. */
export const sdkList: Parse<readonly [string, bigint]> = (text) => {
  const [, name = '', digits = '0'] = /^([\w.-]{1,63})=(\d{1,9})$/.exec(text) ?? [];
  const capacity = BigInt(digits);
  if (name !== '' && capacity <= maxListCapacity) return { value: [name, capacity] };
  return { expected: `NAME=CAPACITY such as players=100, at most ${maxListCapacity}` };
};
