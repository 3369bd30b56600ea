import type { Stopping } from './grace.ts';
import type { Container, ContainerStatus } from './pod.ts';

/**
 * One container of a pod, as the kubelet knows it. Times are epoch milliseconds.
 *
 * ```
 *   waiting ──> running ──> terminated ──> running ...      (restarted at once, or after the back-off)
 *      └──────────────────────^                             (could not be started)
 * ```
 */
export interface ContainerRecord {
  spec: Container;
  now: ContainerState;
  /** How the previous run ended: the status's `lastState`. */
  last: Terminated | undefined;
  restartCount: number;
  backoff: Backoff;
}

export type ContainerState = { state: 'waiting'; reason: string; message?: string } | Running | Terminated;

export interface Running {
  state: 'running';
  id: string;
  startedAtMs: number;
  ready: boolean;
  stopping: Stopping | undefined;
  hook: 'none' | 'pending' | 'done';
}

export interface Terminated {
  state: 'terminated';
  id: string | undefined;
  exitCode: number;
  reason: string;
  message?: string;
  /** Undefined where the container never started. */
  startedAtMs: number | undefined;
  finishedAtMs: number;
}

/** `delayMs` is 0 until the first restart. */
export interface Backoff {
  delayMs: number;
  sinceMs: number;
}

export interface BackoffLimits {
  baseMs: number;
  maxMs: number;
}

/** Reason for a container that ran when the kubelet last looked and no longer exists. */
export const lostReason = 'ContainerStatusUnknown';
export const killedExitCode = 137;

/** Restores an earlier kubelet's record: whatever ran then has ended by now. */
export function openRecord(spec: Container, reported: ContainerStatus | undefined, nowMs: number): ContainerRecord {
  const record: ContainerRecord = {
    spec,
    now: { state: 'waiting', reason: 'ContainerCreating' },
    last: undefined,
    restartCount: reported?.restartCount ?? 0,
    backoff: { delayMs: 0, sinceMs: nowMs },
  };
  const ended = reported?.state.terminated ?? reported?.lastState.terminated;
  if (reported?.state.running !== undefined) {
    record.now = {
      state: 'terminated',
      id: readId(reported.containerID),
      exitCode: killedExitCode,
      reason: lostReason,
      message: 'The container could not be located when the kubelet started',
      startedAtMs: Date.parse(reported.state.running.startedAt),
      finishedAtMs: nowMs,
    };
  } else if (ended !== undefined) {
    record.now = {
      state: 'terminated',
      id: readId(ended.containerID),
      exitCode: ended.exitCode,
      reason: ended.reason,
      ...(ended.message === undefined ? {} : { message: ended.message }),
      startedAtMs: Date.parse(ended.startedAt),
      finishedAtMs: Date.parse(ended.finishedAt),
    };
  }
  return record;
}

const idScheme = 'process://';

export function formatId(id: string): string {
  return `${idScheme}${id}`;
}

function readId(containerId: string | undefined): string | undefined {
  return containerId?.slice(containerId.indexOf('://') + '://'.length);
}

/**
 * When an ended container may start again: at once the first time, then after the base delay, which doubles each time
 * up to the maximum. A container that ran for twice the maximum starts over without a delay.
 */
export function restartAtMs({ backoff }: ContainerRecord, ended: Terminated, { maxMs }: BackoffLimits): number {
  if (backoff.delayMs === 0 || ended.finishedAtMs - backoff.sinceMs > 2 * maxMs) return ended.finishedAtMs;
  return ended.finishedAtMs + backoff.delayMs;
}

/** The back-off after a restart at `nowMs`. */
export function growBackoff(record: ContainerRecord, ended: Terminated, nowMs: number, limits: BackoffLimits): Backoff {
  const { backoff } = record;
  const fresh = backoff.delayMs === 0 || ended.finishedAtMs - backoff.sinceMs > 2 * limits.maxMs;
  const delayMs = fresh ? limits.baseMs : Math.min(backoff.delayMs * 2, limits.maxMs);
  return { delayMs: Math.min(delayMs, limits.maxMs), sinceMs: nowMs };
}
