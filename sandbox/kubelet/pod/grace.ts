import type { Pod } from './pod.ts';

const defaultGraceSeconds = 30;
/** The kubelet's minimum grace for every container after its preStop hook, whatever was asked for. */
const minimumGraceSeconds = 2;
const killAgainMs = 1000;

/**
 * Seconds of grace for a pod that has to end; `current` is the result of an earlier call. The grace can only shrink. A
 * 0 means "not given": a pod deleted with grace 0 vanishes from the API, but its processes still get the pod's own
 * grace.
 */
export function effectiveGraceSeconds(pod: Pod, current: number | undefined): number {
  const told = pod.metadata.deletionGracePeriodSeconds ?? 0;
  const own = pod.spec.terminationGracePeriodSeconds ?? defaultGraceSeconds;
  if (current !== undefined) return told > 0 ? Math.min(told, current) : current;
  return Math.max(1, told > 0 ? told : own);
}

/** Progress in stopping a running container. Times are epoch milliseconds. */
export type Stopping =
  | { state: 'hook'; graceSeconds: number; sinceMs: number }
  | { state: 'signalled'; graceSeconds: number; killAtMs: number };

export interface StopDecision {
  stopping: Stopping;
  act: 'run-hook' | 'terminate' | 'kill' | 'wait';
  /** Decide again at this time at the latest. */
  wakeAtMs: number;
}

/**
 * preStop hook, SIGTERM, SIGKILL. A shorter grace counts from the moment it is learned of; SIGTERM is sent once only
 * (containerd drops the second one), and so is the hook.
 *
 * ```
 *   undefined ── has a hook ──> hook ── done or out of time ──┐
 *       └───────────────────────────────────────────────────> signalled ── out of time ──> kill
 * ```
 */
export function decideStop(
  stopping: Stopping | undefined,
  now: number,
  { graceSeconds, hook }: { graceSeconds: number; hook: 'none' | 'pending' | 'done' },
): StopDecision {
  if (stopping === undefined && hook === 'pending') {
    return {
      stopping: { state: 'hook', graceSeconds, sinceMs: now },
      act: 'run-hook',
      wakeAtMs: now + graceSeconds * 1000,
    };
  }
  if (stopping === undefined) return signal(graceSeconds, now, 'terminate');
  if (graceSeconds < stopping.graceSeconds) {
    if (stopping.state === 'signalled') return signal(graceSeconds, now, 'wait');
    return decideStop({ state: 'hook', graceSeconds, sinceMs: now }, now, { graceSeconds, hook });
  }
  if (stopping.state === 'hook') {
    const endsAtMs = stopping.sinceMs + stopping.graceSeconds * 1000;
    if (hook !== 'done' && now < endsAtMs) return { stopping, act: 'wait', wakeAtMs: endsAtMs };
    const spentSeconds = Math.floor((now - stopping.sinceMs) / 1000);
    return signal(stopping.graceSeconds - spentSeconds, now, 'terminate', stopping.graceSeconds);
  }
  if (now < stopping.killAtMs) return { stopping, act: 'wait', wakeAtMs: stopping.killAtMs };
  return { stopping, act: 'kill', wakeAtMs: now + killAgainMs };
}

function signal(
  leftSeconds: number,
  now: number,
  act: 'terminate' | 'wait',
  graceSeconds: number = leftSeconds,
): StopDecision {
  const killAtMs = now + Math.max(leftSeconds, minimumGraceSeconds) * 1000;
  return { stopping: { state: 'signalled', graceSeconds, killAtMs }, act, wakeAtMs: killAtMs };
}
