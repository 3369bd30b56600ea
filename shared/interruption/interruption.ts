/** Where an interruption comes from; also the value of the node's taint. */
export type InterruptionKind = 'spot-termination' | 'rebalance' | 'maintenance' | 'asg-termination' | 'rehearsal';

/** What AWS is going to do with the instance. `none` where it only warns of a risk. */
export type InterruptionAction = 'terminate' | 'stop' | 'hibernate' | 'reboot' | 'none';

export const interruptionKinds: readonly InterruptionKind[] = [
  'spot-termination',
  'rebalance',
  'maintenance',
  'asg-termination',
  'rehearsal',
];
export const interruptionActions: readonly InterruptionAction[] = ['terminate', 'stop', 'hibernate', 'reboot', 'none'];

/** What the metadata service announces, without anything that depends on when it was read. */
export interface Notice {
  /**
   * Says which interruption this is, the same at every poll: an instance is taken once, however often the announced time
   * moves, so neither our clock nor the announced time is part of it.
   */
  readonly id: string;
  readonly kind: InterruptionKind;
  readonly action: InterruptionAction;
  /** When the instance is taken, epoch milliseconds; undefined where the notice names no instant. */
  readonly deadlineMs: number | undefined;
}

/** A notice that we have taken up. */
export interface Interruption extends Notice {
  /** When this process, or one before it on the same node, first saw the notice: epoch milliseconds. */
  readonly firstSeenMs: number;
}

/** RFC 3339 in UTC, as every contract of ours writes an instant. */
export function instant(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

const rfc3339 =
  /^(\d{4})-(0[1-9]|1[0-2])-(\d{2})T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/**
 * Epoch milliseconds of an RFC 3339 instant; undefined where the text is none. Stricter than Date.parse, which takes 24:00 and
 * turns the 30th of February into the 2nd of March: a wrong deadline is worse than a refused one.
 */
export function parseInstant(text: unknown): number | undefined {
  const [matched, year = '', month = '', day = ''] = (typeof text === 'string' && rfc3339.exec(text)) || [];
  if (matched === undefined || Number(day) < 1 || Number(day) > daysIn(Number(year), Number(month))) return undefined;
  return Date.parse(matched);
}

/** `month` counts from 1. */
function daysIn(year: number, month: number): number {
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  if (month === 2) return isLeap ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}
