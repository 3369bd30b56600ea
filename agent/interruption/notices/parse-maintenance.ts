import type { InterruptionAction, Notice } from '../../../shared/interruption/interruption.ts';
import { parseArray, quote } from '../../../shared/interruption/parse-document.ts';
import type { ParsedNotices } from '../../../shared/interruption/parsed-notices.ts';
import { readInstant } from '../../../shared/interruption/read-instant.ts';

/** `[]` while nothing is scheduled; 404 from some mocks. */
export const maintenancePath = '/latest/meta-data/events/maintenance/scheduled';

/** The effect on the instance. A retired instance is stopped or terminated for good, which is the same to its pods. */
const actionOfCode: ReadonlyMap<unknown, InterruptionAction> = new Map([
  ['instance-reboot', 'reboot'],
  ['system-reboot', 'reboot'],
  ['system-maintenance', 'none'],
  ['instance-retirement', 'terminate'],
  ['instance-stop', 'stop'],
]);

/** undefined: not the code of a scheduled event. */
export function maintenanceAction(code: unknown): InterruptionAction | undefined {
  return actionOfCode.get(code);
}

/**
 * Reads the scheduled events of an instance that booted at `bootedAtMs`. An invalid event is skipped with a remark and
 * hides no other. Completed and cancelled events are skipped, and so is a reboot scheduled before the boot: EC2 lists
 * it as active for a while after it happened.
 */
export function parseMaintenance(body: string, bootedAtMs: number): ParsedNotices {
  const document = parseArray(body);
  if ('garbage' in document) return document;
  const notices: Notice[] = [];
  const remarks: string[] = [];
  for (const item of document.items) {
    const notice = readEvent(item, bootedAtMs);
    if (typeof notice === 'string') remarks.push(notice);
    else if (notice !== undefined) notices.push(notice);
  }
  return { notices, remarks };
}

function readEvent(item: unknown, bootedAtMs: number): Notice | string | undefined {
  const event = Object(item) as Readonly<Record<'EventId' | 'Code' | 'State' | 'NotBefore', unknown>>;
  const { EventId: eventId, Code: code, State: state } = event;
  if (state === 'completed' || state === 'canceled') return undefined;
  const rejected = (reason: string) => `event ${quote(eventId)} left out: ${reason}`;
  if (state !== 'active') return rejected(`unknown State ${quote(state)}`);
  if (typeof eventId !== 'string' || eventId === '') return rejected('EventId is no name');
  const action = maintenanceAction(code);
  if (action === undefined) return rejected(`unknown Code ${quote(code)}`);
  const deadlineMs = readInstant(event.NotBefore);
  if (deadlineMs === undefined) return rejected(`NotBefore is no instant: ${quote(event.NotBefore)}`);
  if (action === 'reboot' && deadlineMs <= bootedAtMs) return undefined;
  return { id: eventId, kind: 'maintenance', action, deadlineMs };
}
