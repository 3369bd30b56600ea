import type { InterruptionAction, Notice } from '../../../shared/interruption/interruption.ts';
import { parseArray, quote } from './parse-document.ts';
import type { ParsedNotices } from './parsed-notices.ts';

/** `[]` while nothing is scheduled; some mocks answer 404. */
export const maintenancePath = '/latest/meta-data/events/maintenance/scheduled';

/** What becomes of the instance. A retired one is stopped or terminated for good, which is the same to its pods. */
const actionOfCode: ReadonlyMap<unknown, InterruptionAction> = new Map([
  ['instance-reboot', 'reboot'],
  ['system-reboot', 'reboot'],
  ['system-maintenance', 'none'],
  ['instance-retirement', 'terminate'],
  ['instance-stop', 'stop'],
]);

/** undefined: no code of a scheduled event. */
export function maintenanceAction(code: unknown): InterruptionAction | undefined {
  return actionOfCode.get(code);
}

/**
 * Reads the scheduled events of an instance that booted at `bootedAtMs`. Completed and cancelled ones are none any more, and
 * neither is a reboot that lies before the boot: EC2 lists it as active for a while after it was done.
 */
export function parseMaintenance(body: string, bootedAtMs: number): ParsedNotices {
  const document = parseArray(body);
  if ('garbage' in document) return document;
  const notices: Notice[] = [];
  for (const item of document.items) {
    const notice = readEvent(item, bootedAtMs);
    if (typeof notice === 'string') return { garbage: notice };
    if (notice !== undefined) notices.push(notice);
  }
  return { notices };
}

function readEvent(item: unknown, bootedAtMs: number): Notice | string | undefined {
  const event = Object(item) as Readonly<Record<'EventId' | 'Code' | 'State' | 'NotBefore', unknown>>;
  const { EventId: eventId, Code: code, State: state } = event;
  if (state === 'completed' || state === 'canceled') return undefined;
  if (state !== 'active') return `unknown State ${quote(state)}`;
  if (typeof eventId !== 'string' || eventId === '') return `EventId is no name: ${quote(eventId)}`;
  const action = maintenanceAction(code);
  if (action === undefined) return `unknown Code ${quote(code)}`;
  const deadlineMs = parseEventTime(event.NotBefore);
  if (deadlineMs === undefined) return `NotBefore is no instant: ${quote(event.NotBefore)}`;
  if (action === 'reboot' && deadlineMs <= bootedAtMs) return undefined;
  return { id: eventId, kind: 'maintenance', action, deadlineMs };
}

/** `21 Jan 2026 09:00:43 GMT`, and nothing else that Date.parse would guess at. */
function parseEventTime(value: unknown): number | undefined {
  if (typeof value !== 'string' || !/^\d{1,2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(value)) return undefined;
  const epochMs = Date.parse(value);
  return Number.isNaN(epochMs) ? undefined : epochMs;
}
