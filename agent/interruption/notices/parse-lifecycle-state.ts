import type { InterruptionAction } from '../../../shared/interruption/interruption.ts';
import { quote } from './parse-document.ts';
import type { ParsedNotices } from './parsed-notices.ts';

/** 404 outside an Auto Scaling group, and on an instance that its group has not moved yet. */
export const lifecycleStatePath = '/latest/meta-data/autoscaling/target-lifecycle-state';

/** States in which the group is about to take the instance, and how. A warm pool stops or hibernates it and brings it back. */
const actionOfState: ReadonlyMap<string, InterruptionAction> = new Map([
  ['Terminated', 'terminate'],
  ['Warmed:Terminated', 'terminate'],
  ['Warmed:Stopped', 'stop'],
  ['Warmed:Hibernated', 'stop'],
]);

const maxState = 64;

/**
 * Reads the lifecycle state that an Auto Scaling group wants its instance in. It names no instant: how long the group's lifecycle hooks
 * leave is not known here. Hibernation into a warm pool is an ordinary stop for the pods, announced ahead unlike spot's.
 */
export function parseLifecycleState(body: string, instanceId: string): ParsedNotices {
  const state = body.trim();
  if (!/^[A-Za-z]+(:[A-Za-z]+)?$/.test(state) || state.length > maxState)
    return { garbage: `no lifecycle state: ${quote(state)}` };
  const action = actionOfState.get(state);
  if (action === undefined) return { notices: [] };
  return { notices: [{ id: `${instanceId}/asg-termination`, kind: 'asg-termination', action, deadlineMs: undefined }] };
}
