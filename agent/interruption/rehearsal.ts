import { formatDuration, parseDuration } from '../../shared/duration.ts';
import type { NodeView } from '../node-state/node-mark.ts';
import type { Observation, Tracked } from './track-interruption.ts';

/** A shorter rehearsal would end pods before their preStop hooks, and show nothing about two minutes. */
export const minRehearsalMs = 10_000;
/** A forgotten rehearsal must not block a node for a day. */
export const maxRehearsalMs = 3_600_000;

export interface Rehearsed {
  readonly observation: Observation;
  /** Why the node's request is refused; undefined: there is none, or it is granted. */
  readonly refusal: string | undefined;
}

/**
 * Adds the rehearsal that an annotation on the node requests (`spotable.dev/rehearse=90s`) to the observation. It is
 * announced until its deadline or the removal of the annotation, and only while nothing real is pending. `spent`: the
 * request that was already rehearsed and is still on the node: a dry run does not remove it, and an API server may be
 * slow to.
 */
export function withRehearsal(
  observation: Observation,
  node: NodeView | undefined,
  tracked: Tracked,
  nowMs: number,
  spent?: string,
): Rehearsed {
  const current = tracked.state === 'quiet' ? undefined : tracked.interruption;
  if (current?.kind === 'rehearsal') {
    const { id, kind, action, deadlineMs } = current;
    if (node === undefined) return { observation: blind(observation), refusal: undefined };
    const isAsked = node.rehearse !== undefined && deadlineMs !== undefined && nowMs < deadlineMs;
    const notices = isAsked ? [{ id, kind, action, deadlineMs }] : [];
    return { observation: see(observation, notices), refusal: undefined };
  }
  if (node?.rehearse === undefined || node.rehearse === spent)
    return { observation: see(observation, []), refusal: undefined };
  const refusal = current === undefined ? refusalOf(node.rehearse) : `${current.id} is pending`;
  if (refusal !== undefined) return { observation: see(observation, []), refusal };
  const deadlineMs = nowMs + (parseDuration(node.rehearse) ?? 0);
  // The node's resourceVersion at the request distinguishes two rehearsals.
  const id = `${node.uid}/rehearsal/${node.resourceVersion}`;
  const notice = { id, kind: 'rehearsal', action: 'none', deadlineMs } as const;
  return { observation: see(observation, [notice]), refusal: undefined };
}

function refusalOf(text: string): string | undefined {
  const ms = parseDuration(text);
  if (ms === undefined) return 'expected a duration such as 90s or 2m';
  if (ms >= minRehearsalMs && ms <= maxRehearsalMs) return undefined;
  return `expected a duration from ${formatDuration(minRehearsalMs)} to ${formatDuration(maxRehearsalMs)}`;
}

function see({ notices, seen, blindTo }: Observation, rehearsals: Observation['notices']): Observation {
  return { notices: [...notices, ...rehearsals], seen: new Set([...seen, 'rehearsal'] as const), blindTo };
}

function blind({ notices, seen, blindTo }: Observation): Observation {
  return { notices, seen, blindTo: new Set([...blindTo, 'rehearsal'] as const) };
}
