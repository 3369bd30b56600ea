import type { PodView } from '../../../agent/drain/pod.ts';
import type { PlannedInterruption, Policy } from '../../../agent/interruption/policy.ts';
import type { Observation } from '../../../agent/interruption/track-interruption.ts';
import type { NodeView } from '../../../agent/node-state/node-mark.ts';
import { type InterruptionKind, interruptionKinds, type Notice } from '../../../shared/interruption/interruption.ts';

export const noon: number = Date.parse('2026-04-24T12:00:00Z');

export const policy: Policy = {
  responses: {
    'spot-termination': 'drain',
    rebalance: 'hold',
    maintenance: 'drain',
    'asg-termination': 'drain',
    rehearsal: 'drain',
  },
  maintenanceLeadMs: 1_800_000,
  assumedNoticeMs: 120_000,
};

export function withResponses(responses: Partial<Policy['responses']>): Policy {
  return { ...policy, responses: { ...policy.responses, ...responses } };
}

export const spot: Notice = {
  id: 'i-1/spot-termination',
  kind: 'spot-termination',
  action: 'terminate',
  deadlineMs: noon + 120_000,
};
export const rebalance: Notice = { id: 'i-1/rebalance', kind: 'rebalance', action: 'none', deadlineMs: undefined };
export const maintenance: Notice = {
  id: 'instance-event-1',
  kind: 'maintenance',
  action: 'reboot',
  deadlineMs: noon + 86_400_000,
};
export const asg: Notice = {
  id: 'i-1/asg-termination',
  kind: 'asg-termination',
  action: 'terminate',
  deadlineMs: undefined,
};
export const rehearsal: Notice = {
  id: 'n-uid/rehearsal/7',
  kind: 'rehearsal',
  action: 'none',
  deadlineMs: noon + 90_000,
};

/** A look at everything, but for what could not be read. */
export function look(notices: readonly Notice[], blindTo: readonly InterruptionKind[] = []): Observation {
  const seen = interruptionKinds.filter((kind) => !blindTo.includes(kind));
  return { notices, seen: new Set(seen), blindTo: new Set(blindTo) };
}

export function planned(notice: Notice, changes: Partial<PlannedInterruption> = {}): PlannedInterruption {
  return { ...notice, firstSeenMs: noon, response: policy.responses[notice.kind], ...changes };
}

export function node(changes: Partial<NodeView> = {}): NodeView {
  return {
    name: 'n-1',
    uid: 'n-uid',
    resourceVersion: '7',
    isCordoned: false,
    taints: [],
    annotation: undefined,
    rehearse: undefined,
    hasLoadBalancerLabel: false,
    labels: {},
    volumesAttached: [],
    providerId: undefined,
    ...changes,
  };
}

export function pod(changes: Partial<PodView> = {}): PodView {
  const name = changes.name ?? 'gs-1';
  return {
    namespace: 'arena',
    name,
    uid: `uid-${name}`,
    labels: {},
    controllerKind: 'ReplicaSet',
    isMirror: false,
    isFinished: false,
    hasEnded: false,
    priority: 0,
    gracePeriodSeconds: 30,
    goneByMs: undefined,
    ...changes,
  };
}
