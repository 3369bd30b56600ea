import { codes } from '../sdk-error.ts';
import type { Answer } from './answer.ts';
import type { ListCall } from './sdk-call.ts';
import { changed, type List, type SdkModel } from './sdk-model.ts';

/** Agones' own limit for a list's capacity, and so for its length. */
export const maxListCapacity = 1000n;
/** A list's value is a player's id or a room's name, and up to a thousand values are sent to every watcher. */
export const maxValueCharacters = 256;

export function answerListCall(model: SdkModel, call: ListCall): Answer {
  const list = model.lists.get(call.name);
  if (list === undefined) return refused(model, `list not found: ${call.name}`);
  switch (call.kind) {
    case 'get-list':
      return { model, reply: replyOf(call.name, list) };
    case 'add-list-value':
      return addValue(model, call.name, list, call.value);
    case 'remove-list-value': {
      const values = list.values.filter((value) => value !== call.value);
      if (values.length === list.values.length)
        return refused(model, `not found: value ${call.value} not in list ${call.name}`);
      return stored(model, call.name, { ...list, values });
    }
    case 'update-list':
      return updateList(model, call, list);
  }
}

function addValue(model: SdkModel, name: string, list: List, value: string): Answer {
  const { values, capacity } = list;
  if (BigInt(values.length) >= capacity)
    return refused(
      model,
      `out of range. No available capacity. Current Capacity: ${capacity}, List Size: ${values.length}`,
    );
  if (values.includes(value)) return refused(model, `already exists. Value: ${value} already in List: ${name}`);
  if (value.length > maxValueCharacters) return tooLong(model);
  return stored(model, name, { ...list, values: [...values, value] });
}

function updateList(model: SdkModel, call: Extract<ListCall, { kind: 'update-list' }>, list: List): Answer {
  const unknown = call.fields.filter((field) => !['name', 'capacity', 'values'].includes(field));
  if (unknown.length > 0)
    return refused(
      model,
      `invalid argument. Field Mask Path(s): [${unknown.join(' ')}] are invalid for List. Use valid field name(s): [name capacity values]`,
    );
  if (call.capacity < 0n || call.capacity > maxListCapacity)
    return refused(
      model,
      `out of range. Capacity must be within range [0,${maxListCapacity}]. Found Capacity: ${call.capacity}`,
    );
  if (call.values.some(({ length }) => length > maxValueCharacters)) return tooLong(model);
  const isSet = (field: string, isGiven: boolean) => (call.fields.length === 0 ? isGiven : call.fields.includes(field));
  const capacity = isSet('capacity', call.capacity !== 0n) ? call.capacity : list.capacity;
  const values = isSet('values', call.values.length > 0) ? [...new Set(call.values)] : list.values;
  // Silently drop values beyond the capacity, as Agones does.
  return stored(model, call.name, { capacity, values: values.slice(0, Number(capacity)) });
}

function stored(model: SdkModel, name: string, list: List): Answer {
  return { model: changed(model, { lists: new Map(model.lists).set(name, list) }), reply: replyOf(name, list) };
}

function replyOf(name: string, { capacity, values }: List): object {
  return { name, capacity: String(capacity), values };
}

function tooLong(model: SdkModel): Answer {
  return refused(model, `out of range. A value must have at most ${maxValueCharacters} characters`);
}

function refused(model: SdkModel, message: string): Answer {
  return { model, error: { code: codes.unknown, message } };
}
