/** The origin of an interruption; also the value of the node's taint. */
export type InterruptionKind = 'spot-termination' | 'rebalance' | 'maintenance' | 'asg-termination' | 'rehearsal';

/** What AWS will do with the instance; `none` for a mere risk. */
export type InterruptionAction = 'terminate' | 'stop' | 'hibernate' | 'reboot' | 'none';

export const interruptionKinds: readonly InterruptionKind[] = [
  'spot-termination',
  'rebalance',
  'maintenance',
  'asg-termination',
  'rehearsal',
];
export const interruptionActions: readonly InterruptionAction[] = ['terminate', 'stop', 'hibernate', 'reboot', 'none'];

/** A metadata service's announcement, without anything that depends on the time of reading. */
export interface Notice {
  /**
   * Identifies the interruption, equal at every poll. An instance is taken once, however often the announced time
   * moves, so neither our clock nor the announced time is part of it.
   */
  readonly id: string;
  readonly kind: InterruptionKind;
  readonly action: InterruptionAction;
  /** When the instance is taken, epoch milliseconds; undefined: the notice names no time. */
  readonly deadlineMs: number | undefined;
}

/** A notice that the agent handles. */
export interface Interruption extends Notice {
  /** When this process or an earlier one on the same node first saw the notice, epoch milliseconds. */
  readonly firstSeenMs: number;
}

/** RFC 3339 in UTC, the format of all our contracts. */
export function instant(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

const rfc3339 =
  /^(\d{4})-(0[1-9]|1[0-2])-(\d{2})T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/**
 * Parses an RFC 3339 instant into epoch milliseconds; undefined: malformed. Stricter than Date.parse, which accepts
 * 24:00 and turns the 30th of February into the 2nd of March: a wrong deadline is worse than none.
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
