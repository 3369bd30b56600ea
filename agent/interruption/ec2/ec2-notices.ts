import type { InterruptionAction, Notice } from '../../../shared/interruption/interruption.ts';
import { maintenanceAction } from '../notices/parse-maintenance.ts';

/** The parts of EC2's answers that announce interruptions, as its SDK names them. */
export interface SpotRequestView {
  readonly Status?: { readonly Code?: string | undefined; readonly UpdateTime?: Date | undefined } | undefined;
}

export interface ScheduledEventView {
  readonly InstanceEventId?: string | undefined;
  readonly Code?: string | undefined;
  readonly Description?: string | undefined;
  readonly NotBefore?: Date | undefined;
}

/** A spot instance is taken two minutes after its request was marked. */
const spotNoticeMs = 120_000;

const spotActions: ReadonlyMap<string | undefined, InterruptionAction> = new Map([
  ['marked-for-termination', 'terminate'],
  ['marked-for-stop', 'stop'],
]);

/** The same notice as the metadata service would show, under the same identity, so that both together are one interruption. */
export function spotNotices(requests: readonly SpotRequestView[], identity: string): readonly Notice[] {
  return requests.flatMap(({ Status: status }) => {
    const action = spotActions.get(status?.Code);
    const markedMs = status?.UpdateTime?.getTime();
    if (action === undefined || markedMs === undefined || Number.isNaN(markedMs)) return [];
    return [
      { id: `${identity}/spot-termination`, kind: 'spot-termination', action, deadlineMs: markedMs + spotNoticeMs },
    ];
  });
}

/** EC2 goes on listing an event that is over, with a word in brackets in front of its description. */
export function eventNotices(events: readonly ScheduledEventView[], bootedAtMs: number): readonly Notice[] {
  return events.flatMap(({ InstanceEventId: id, Code: code, Description: description, NotBefore: notBefore }) => {
    const action = maintenanceAction(code);
    const deadlineMs = notBefore?.getTime();
    if (id === undefined || action === undefined || deadlineMs === undefined) return [];
    if (/^\[(completed|canceled)\]/i.test(description ?? '')) return [];
    if (action === 'reboot' && deadlineMs <= bootedAtMs) return [];
    return [{ id, kind: 'maintenance', action, deadlineMs }];
  });
}
