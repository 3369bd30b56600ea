import { codes } from '../sdk-error.ts';
import type { Answer } from './answer.ts';
import type { CounterCall } from './sdk-call.ts';
import { type Counter, changed, type SdkModel } from './sdk-model.ts';

export function answerCounterCall(model: SdkModel, call: CounterCall): Answer {
  const counter = model.counters.get(call.name);
  if (counter === undefined)
    return { model, error: { code: codes.unknown, message: `counter not found: ${call.name}` } };
  if (call.kind === 'get-counter') return { model, reply: replyOf(call.name, counter) };
  const { name, count, capacity, difference } = call;
  if (count === undefined && capacity === undefined && difference === 0n)
    return refused(model, 'invalid argument. Malformed CounterUpdateRequest: none of count, capacity and countDiff');
  const updated = { count: (count ?? counter.count) + difference, capacity: capacity ?? counter.capacity };
  if (updated.capacity < 0n)
    return refused(
      model,
      `out of range. Capacity must be greater than or equal to 0. Found Capacity: ${updated.capacity}`,
    );
  // A capacity below the count lowers the count if only the capacity is set, as in Agones.
  const isCountGiven = count !== undefined || difference !== 0n;
  if (isCountGiven && (updated.count < 0n || updated.count > updated.capacity))
    return refused(
      model,
      `out of range. Count must be within range [0,Capacity]. Found Count: ${updated.count}, Capacity: ${updated.capacity}`,
    );
  const stored = { ...updated, count: updated.count > updated.capacity ? updated.capacity : updated.count };
  const counters = new Map(model.counters).set(name, stored);
  return { model: changed(model, { counters }), reply: replyOf(name, stored) };
}

function replyOf(name: string, { count, capacity }: Counter): object {
  return { name, count: String(count), capacity: String(capacity) };
}

function refused(model: SdkModel, message: string): Answer {
  return { model, error: { code: codes.unknown, message } };
}
