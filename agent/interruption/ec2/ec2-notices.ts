import type { InterruptionAction, Notice } from '../../../shared/interruption/interruption.ts';
import { quote } from '../../../shared/interruption/parse-document.ts';
import { spotNoticeMs } from '../../../shared/interruption/spot-deadline.ts';
import type { Sighting } from '../notice-source.ts';
import { maintenanceAction } from '../notices/parse-maintenance.ts';

/** The parts of EC2's responses that announce interruptions, in the SDK's names. */
export interface SpotRequestView {
  readonly Status?: { readonly Code?: string | undefined; readonly UpdateTime?: Date | undefined } | undefined;
}

export interface ScheduledEventView {
  readonly InstanceEventId?: string | undefined;
  readonly Code?: string | undefined;
  readonly Description?: string | undefined;
  readonly NotBefore?: Date | undefined;
}

/**
 * `marked-for-termination`, `marked-for-stop`, `marked-for-stop-by-experiment`. An unknown code of this form counts as
 * termination.
 */
function spotAction(code: string): InterruptionAction | undefined {
  if (!code.startsWith('marked-for-')) return undefined;
  return code.startsWith('marked-for-stop') ? 'stop' : 'terminate';
}

/** The same notice as the metadata service would show, with the same ID, so that both are one interruption. */
export function spotNotices(requests: readonly SpotRequestView[], identity: string): Sighting {
  const notices: Notice[] = [];
  const remarks: string[] = [];
  for (const { Status: status } of requests) {
    const action = spotAction(status?.Code ?? '');
    if (action === undefined) continue;
    const markedMs = epochMs(status?.UpdateTime);
    if (markedMs === undefined) remarks.push(`spot request ${quote(status?.Code)} has no time: two minutes assumed`);
    // EC2 takes a spot instance two minutes after marking its request.
    const deadlineMs = markedMs === undefined ? undefined : markedMs + spotNoticeMs;
    notices.push({ id: `${identity}/spot-termination`, kind: 'spot-termination', action, deadlineMs });
  }
  return { notices, remarks };
}

/** EC2 continues to list an event that is over, with a bracketed word in front of its description. */
export function eventNotices(events: readonly ScheduledEventView[], bootedAtMs: number): Sighting {
  const notices: Notice[] = [];
  const remarks: string[] = [];
  for (const { InstanceEventId: id, Code: code, Description: description, NotBefore: notBefore } of events) {
    if (/^\[(completed|canceled)\]/i.test(description ?? '')) continue;
    const action = maintenanceAction(code);
    const deadlineMs = epochMs(notBefore);
    if (id === undefined || action === undefined || deadlineMs === undefined)
      remarks.push(`event ${quote(id)} left out: Code ${quote(code)}, NotBefore ${quote(notBefore)}`);
    else if (action !== 'reboot' || deadlineMs > bootedAtMs)
      notices.push({ id, kind: 'maintenance', action, deadlineMs });
  }
  return { notices, remarks };
}

function epochMs(date: Date | undefined): number | undefined {
  const ms = date?.getTime();
  return ms === undefined || Number.isNaN(ms) ? undefined : ms;
}
