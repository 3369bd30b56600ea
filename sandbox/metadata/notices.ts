/** EC2's announcements to an instance. Each is the document that the metadata service then shows. */
export interface Notices {
  /** `time` in the format of {@link isoSeconds}. */
  spot: { action: 'terminate' | 'stop' | 'hibernate'; time: string };
  rebalance: { noticeTime: string };
  /** Times in the format of {@link maintenanceTime}. */
  maintenance: readonly MaintenanceEvent[];
  asg: { state: LifecycleState };
}

export interface MaintenanceEvent {
  NotBefore: string;
  NotAfter?: string;
  NotBeforeDeadline?: string;
  Code: (typeof maintenanceCodes)[number];
  Description: string;
  EventId: string;
  State: (typeof maintenanceStates)[number];
}

export type LifecycleState = (typeof lifecycleStates)[number];
export type NoticeKind = keyof Notices;

const spotActions = ['terminate', 'stop', 'hibernate'] as const;
const maintenanceCodes = [
  'instance-reboot',
  'system-reboot',
  'system-maintenance',
  'instance-retirement',
  'instance-stop',
] as const;
const maintenanceStates = ['active', 'completed', 'canceled'] as const;
const lifecycleStates = [
  'Detached',
  'InService',
  'Standby',
  'Terminated',
  'Warmed:Hibernated',
  'Warmed:Running',
  'Warmed:Stopped',
  'Warmed:Terminated',
] as const;
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const maxTextCharacters = 1_000;
const maxMaintenanceEvents = 100;

/** `2026-04-24T17:11:44Z`. EC2 writes whole seconds and rounds down. */
export function isoSeconds(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19)}Z`;
}

/** `21 Jan 2026 09:00:43 GMT`, the format of maintenance events. */
export function maintenanceTime(atMs: number): string {
  return new Date(atMs).toUTCString().replace(/^\w+, /, '');
}

/** Validates the document of each kind. Throws a TypeError that names the invalid field. */
export const parseNotice: { readonly [K in NoticeKind]: (value: unknown) => Notices[K] } = {
  spot: (value) => {
    const { action, time } = fieldsOf(value, 'spot');
    return { action: oneOf(action, 'spot.action', spotActions), time: isoTime(time, 'spot.time') };
  },
  rebalance: (value) => ({
    noticeTime: isoTime(fieldsOf(value, 'rebalance')['noticeTime'], 'rebalance.noticeTime'),
  }),
  maintenance: (value) => {
    if (!Array.isArray(value)) throw wrong('maintenance', 'an array of events', value);
    if (value.length > maxMaintenanceEvents) {
      throw new TypeError(
        `Bad notice: maintenance must be at most ${maxMaintenanceEvents} events, not ${value.length}`,
      );
    }
    return value.map((event, position) => maintenanceEvent(event, `maintenance[${position}]`));
  },
  asg: (value) => ({ state: oneOf(fieldsOf(value, 'asg')['state'], 'asg.state', lifecycleStates) }),
};

export function isNoticeKind(text: string): text is NoticeKind {
  return Object.hasOwn(parseNotice, text);
}

function maintenanceEvent(value: unknown, name: string): MaintenanceEvent {
  const event = fieldsOf(value, name);
  const { NotAfter, NotBeforeDeadline } = event;
  return {
    NotBefore: eventTime(event['NotBefore'], `${name}.NotBefore`),
    ...(NotAfter !== undefined && { NotAfter: eventTime(NotAfter, `${name}.NotAfter`) }),
    ...(NotBeforeDeadline !== undefined && {
      NotBeforeDeadline: eventTime(NotBeforeDeadline, `${name}.NotBeforeDeadline`),
    }),
    Code: oneOf(event['Code'], `${name}.Code`, maintenanceCodes),
    Description: text(event['Description'], `${name}.Description`),
    EventId: text(event['EventId'], `${name}.EventId`),
    State: oneOf(event['State'], `${name}.State`, maintenanceStates),
  };
}

function isoTime(value: unknown, name: string): string {
  // Formatting the parsed instant again catches dates that Date accepts, such as the 31st of April.
  const atMs = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(atMs) || isoSeconds(atMs) !== value) throw wrong(name, 'a time such as 2026-04-24T17:11:44Z', value);
  return value;
}

function eventTime(value: unknown, name: string): string {
  const parts = /^(\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT$/.exec(typeof value === 'string' ? value : '');
  const [, day, month = '', year, hours, minutes, seconds] = parts ?? [];
  const atMs = Date.UTC(Number(year), months.indexOf(month), ...[day, hours, minutes, seconds].map(Number));
  if (Number.isNaN(atMs) || maintenanceTime(atMs) !== value)
    throw wrong(name, 'a time such as 21 Jan 2026 09:00:43 GMT', value);
  return value;
}

function fieldsOf(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(name, 'an object', value);
  return { ...value };
}

function oneOf<const T extends string>(value: unknown, name: string, words: readonly T[]): T {
  const word = words.find((candidate) => candidate === value);
  if (word === undefined) throw wrong(name, words.join(', '), value);
  return word;
}

function text(value: unknown, name: string): string {
  if (typeof value === 'string' && value.length <= maxTextCharacters) return value;
  throw wrong(name, `a text of at most ${maxTextCharacters} characters`, value);
}

function wrong(name: string, expected: string, value: unknown): TypeError {
  const shown = (JSON.stringify(value) ?? String(value)).slice(0, 100);
  return new TypeError(`Bad notice: ${name} must be ${expected}, not ${shown}`);
}
