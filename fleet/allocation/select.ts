import { counterAnnotationPrefix, fleetLabel, listAnnotationPrefix } from '../../shared/fleet-names.ts';
import { meetsRequirement } from '../../shared/kubernetes/label-selector.ts';
import { allocationOf, type GameServerPod } from '../cluster/game-server-pod.ts';
import type { GameServerSelector, Priority } from './allocation-request.ts';

export interface Counter {
  readonly count: number;
  readonly capacity: number;
}

export interface List {
  readonly values: readonly string[];
  readonly capacity: number;
}

/** Agones sets this label to the fleet's name; pods here need not have it. */
const agonesFleetLabel = 'agones.dev/fleet';

/** Whether the selector matches the game server, by the rules of Agones' GameServerSelector.Matches. */
export function fitsSelector(selector: GameServerSelector, pod: GameServerPod): boolean {
  if (allocationOf(pod) !== (selector.state === 'Ready' ? 'unallocated' : 'allocated')) return false;
  for (const [key, value] of Object.entries(selector.matchLabels)) if (labelOf(pod, key) !== value) return false;
  return (
    selector.matchExpressions.every(({ key, operator, values }) =>
      meetsRequirement(labelOf(pod, key), operator, values),
    ) &&
    fitsCounters(selector, pod) &&
    fitsLists(selector, pod)
  );
}

function labelOf({ labels }: GameServerPod, key: string): string | undefined {
  return labels[key] ?? (key === agonesFleetLabel ? labels[fleetLabel] : undefined);
}

function fitsCounters({ counters }: GameServerSelector, pod: GameServerPod): boolean {
  return Object.entries(counters).every(([name, { minCount, maxCount, minAvailable, maxAvailable }]) => {
    const counter = counterOf(pod, name);
    if (counter === undefined) return false;
    return (
      isWithin(counter.capacity - counter.count, minAvailable, maxAvailable) &&
      isWithin(counter.count, minCount, maxCount)
    );
  });
}

function fitsLists({ lists }: GameServerSelector, pod: GameServerPod): boolean {
  return Object.entries(lists).every(([name, { containsValue, minAvailable, maxAvailable }]) => {
    const list = listOf(pod, name);
    if (list === undefined) return false;
    return (
      isWithin(list.capacity - list.values.length, minAvailable, maxAvailable) &&
      (containsValue === '' || list.values.includes(containsValue))
    );
  });
}

/** A maximum of 0 means no maximum. */
function isWithin(value: number, min: number, max: number): boolean {
  return value >= min && (max === 0 || value <= max);
}

export function counterOf({ annotations }: GameServerPod, name: string): Counter | undefined {
  return readCounter(annotations[`${counterAnnotationPrefix}${name}`]);
}

export function listOf({ annotations }: GameServerPod, name: string): List | undefined {
  return readList(annotations[`${listAnnotationPrefix}${name}`]);
}

export function countersOf(pod: GameServerPod): Readonly<Record<string, Counter>> {
  return named(pod, counterAnnotationPrefix, readCounter);
}

export function listsOf(pod: GameServerPod): Readonly<Record<string, List>> {
  return named(pod, listAnnotationPrefix, readList);
}

function named<T>(
  { annotations }: GameServerPod,
  prefix: string,
  read: (text: string) => T | undefined,
): Readonly<Record<string, T>> {
  const found: Record<string, T> = {};
  for (const [key, text] of Object.entries(annotations)) {
    const value = key.startsWith(prefix) ? read(text) : undefined;
    if (value !== undefined) found[key.slice(prefix.length)] = value;
  }
  return found;
}

function readCounter(text: string | undefined): Counter | undefined {
  const [, count, capacity] = /^(\d{1,15})\/(\d{1,15})$/.exec(text ?? '') ?? [];
  return count === undefined ? undefined : { count: Number(count), capacity: Number(capacity) };
}

function readList(text: string | undefined): List | undefined {
  if (text === undefined) return undefined;
  try {
    const { capacity, values } = Object(JSON.parse(text)) as Record<string, unknown>;
    if (typeof capacity !== 'number' || !Array.isArray(values)) return undefined;
    return { capacity, values: values.filter((value) => typeof value === 'string') };
  } catch {
    return undefined;
  }
}

/**
 * Negative if `a` comes first. A game server without the counter or list comes after one that has it, in either order.
 */
export function compareByPriorities(priorities: readonly Priority[], a: GameServerPod, b: GameServerPod): number {
  for (const { type, key, order } of priorities) {
    const [one, other] = [availableOf(type, key, a), availableOf(type, key, b)];
    if (one === other) continue;
    if (one === undefined) return 1;
    if (other === undefined) return -1;
    return order === 'Ascending' ? one - other : other - one;
  }
  return 0;
}

function availableOf(type: Priority['type'], key: string, pod: GameServerPod): number | undefined {
  if (type === 'Counter') {
    const counter = counterOf(pod, key);
    return counter === undefined ? undefined : counter.capacity - counter.count;
  }
  const list = listOf(pod, key);
  return list === undefined ? undefined : list.capacity - list.values.length;
}
