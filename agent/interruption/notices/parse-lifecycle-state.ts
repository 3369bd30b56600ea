import type { InterruptionAction } from '../../../shared/interruption/interruption.ts';
import { quote } from '../../../shared/interruption/parse-document.ts';
import type { ParsedNotices } from '../../../shared/interruption/parsed-notices.ts';

/** 404 outside an Auto Scaling group, and on an instance that its group has not moved yet. */
export const lifecycleStatePath = '/latest/meta-data/autoscaling/target-lifecycle-state';

/** undefined: the group leaves the instance alone. A warm pool stops or hibernates it and brings it back. */
const actionOfState: ReadonlyMap<string, InterruptionAction | undefined> = new Map([
  ['terminated', 'terminate'],
  ['warmed:terminated', 'terminate'],
  ['warmed:stopped', 'stop'],
  ['warmed:hibernated', 'stop'],
  ['inservice', undefined],
  ['standby', undefined],
  ['detached', undefined],
  ['warmed:running', undefined],
]);

const maxState = 64;

/**
 * Reads the lifecycle state that an Auto Scaling group wants its instance in. It names no instant: how long the group's
 * lifecycle hooks leave is not known here. Hibernation into a warm pool is an ordinary stop for the pods, announced
 * ahead unlike spot's. A state that is new announces nothing, unless its name speaks of termination.
 */
export function parseLifecycleState(body: string, instanceId: string): ParsedNotices {
  const state = body.trim();
  if (!/^[A-Za-z]+(:[A-Za-z]+)?$/.test(state) || state.length > maxState)
    return { garbage: `no lifecycle state: ${quote(state)}` };
  const isKnown = actionOfState.has(state.toLowerCase());
  const action = isKnown ? actionOfState.get(state.toLowerCase()) : /terminat/i.test(state) ? 'terminate' : undefined;
  const remarks = isKnown ? [] : [`unknown lifecycle state ${quote(state)}: ${action ?? 'no action'} assumed`];
  if (action === undefined) return { notices: [], remarks };
  const id = `${instanceId}/asg-termination`;
  return { notices: [{ id, kind: 'asg-termination', action, deadlineMs: undefined }], remarks };
}
