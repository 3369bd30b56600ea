import type { InterruptionAction } from '../../../shared/interruption/interruption.ts';
import { quote } from '../../../shared/interruption/parse-document.ts';
import type { ParsedNotices } from '../../../shared/interruption/parsed-notices.ts';

/** 404 outside an Auto Scaling group, and before the group first changes the instance's state. */
export const lifecycleStatePath = '/latest/meta-data/autoscaling/target-lifecycle-state';

/** undefined: the group leaves the instance alone. A warm pool stops or hibernates the instance and brings it back. */
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
 * Reads the lifecycle state that an Auto Scaling group wants for its instance. The state names no time, because it does
 * not say how long the group's lifecycle hooks wait. For pods, hibernation into a warm pool is an ordinary stop: unlike
 * spot hibernation it is announced ahead. An unknown state announces nothing, unless its name mentions termination.
 */
export function parseLifecycleState(body: string, instanceId: string): ParsedNotices {
  const state = body.trim();
  if (!/^[A-Za-z]+(:[A-Za-z]+)?$/.test(state) || state.length > maxState)
    return { garbage: `not a lifecycle state: ${quote(state)}` };
  const isKnown = actionOfState.has(state.toLowerCase());
  const action = isKnown ? actionOfState.get(state.toLowerCase()) : /terminat/i.test(state) ? 'terminate' : undefined;
  const remarks = isKnown ? [] : [`unknown lifecycle state ${quote(state)}: ${action ?? 'no action'} assumed`];
  if (action === undefined) return { notices: [], remarks };
  const id = `${instanceId}/asg-termination`;
  return { notices: [{ id, kind: 'asg-termination', action, deadlineMs: undefined }], remarks };
}
