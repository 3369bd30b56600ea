import type { Clock } from '../../shared/clock.ts';
import { instant } from '../../shared/interruption/interruption.ts';
import type { Log } from '../../shared/log.ts';
import type { DrainListener, PodEnd } from '../drain/drain.ts';
import { type PodView, podName } from '../drain/pod.ts';
import { isGameServer } from '../drain/pod-filters.ts';
import type { PlannedInterruption } from '../interruption/policy.ts';
import type { Announced } from '../link/link-server.ts';
import {
  type InterruptionOutcome,
  type InterruptionRecord,
  type InterruptionReport,
  interruptionReport,
  isRunning,
  type PodRecord,
} from './interruption-report.ts';
import type { AgentMetrics } from './metrics.ts';

/** Writes Kubernetes events for `kubectl describe` and `kubectl get events`. Never blocks. */
export interface EventSink {
  onNode(type: 'Normal' | 'Warning', reason: string, message: string): void;
  onPod(pod: PodView, type: 'Normal' | 'Warning', reason: string, message: string): void;
}

export interface JournalParts {
  readonly node: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: AgentMetrics;
  readonly events: EventSink;
  /** Takes the report for webhooks, at the notice and at the end. */
  readonly tell: (report: InterruptionReport, deadlineMs: number | undefined) => void;
}

/** A node runs at most a few hundred pods. Pods that are replaced repeatedly must not fill the memory. */
const maxPods = 1000;

/** Records one interruption: what happened to which pod and when, and the outcome. */
export class InterruptionJournal implements DrainListener {
  readonly #parts: JournalParts;
  readonly #pods = new Map<string, PodRecord>();
  #record: Omit<InterruptionRecord, 'pods'>;
  readonly #endedGames = new Set<string>();
  #isClosed = false;

  constructor(parts: JournalParts, interruption: PlannedInterruption) {
    this.#parts = parts;
    this.#record = {
      interruption,
      node: parts.node,
      seenMs: parts.clock.now(),
      wrappersTold: 0,
      firstToldMs: undefined,
      lastToldMs: undefined,
      cordonedMs: undefined,
      volumesLeft: [],
    };
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Time for which the node should have been cordoned and is not. */
  get cordonPendingMs(): number {
    const { cordonedMs, seenMs } = this.#record;
    return cordonedMs === undefined ? Math.max(0, this.#parts.clock.now() - seenMs) : 0;
  }

  begun(isResumed: boolean): void {
    const { metrics, events, tell } = this.#parts;
    const { interruption } = this.#record;
    metrics.begun(interruption);
    events.onNode('Warning', 'InterruptionNoticed', `${isResumed ? 'Resumed: ' : ''}${describe(interruption)}`);
    tell(this.#report('under-way'), interruption.deadlineMs);
  }

  changed(interruption: PlannedInterruption): void {
    const { kind, response } = this.#record.interruption;
    this.#record = { ...this.#record, interruption };
    // A rehearsal that becomes real, or a hold that becomes a drain, has an end of its own.
    if (kind !== interruption.kind || response !== interruption.response) this.#isClosed = false;
    this.#parts.metrics.begun(interruption);
    this.#parts.events.onNode('Warning', 'InterruptionChanged', describe(interruption));
  }

  told({ told, firstMs, lastMs }: Announced): void {
    const { firstToldMs, seenMs, interruption } = this.#record;
    if (told > 0 && firstToldMs === undefined) {
      this.#record = { ...this.#record, firstToldMs: firstMs, lastToldMs: lastMs };
      this.#parts.metrics.told(interruption, firstMs - seenMs, lastMs - seenMs);
    }
    this.#record = { ...this.#record, wrappersTold: Math.max(told, this.#record.wrappersTold) };
  }

  cordoned(): void {
    const { clock, metrics } = this.#parts;
    const { cordonedMs, seenMs, interruption } = this.#record;
    if (cordonedMs !== undefined) return;
    const nowMs = clock.now();
    this.#record = { ...this.#record, cordonedMs: nowMs };
    metrics.cordoned(interruption, nowMs - seenMs);
  }

  onSeen(pod: PodView): void {
    if (this.#pods.size >= maxPods && !this.#pods.has(pod.uid)) return;
    const record: PodRecord = {
      pod: podName(pod),
      isGameServer: isGameServer(pod),
      how: 'itself',
      graceSeconds: undefined,
      refusals: 0,
      askedMs: undefined,
      endedMs: undefined,
      goneMs: undefined,
      exitCode: undefined,
    };
    const before = this.#pods.get(pod.uid);
    // A lagging watch may have shown the pod as gone too early.
    this.#pods.set(pod.uid, before === undefined ? record : { ...before, goneMs: undefined });
  }

  onAsked(pod: PodView, how: PodEnd, graceSeconds: number): void {
    const { clock, metrics, events } = this.#parts;
    const before = this.#pods.get(pod.uid);
    // A pod that was evicted and then shortened still counts as evicted.
    const isHurried = how === 'deleted-outlives' && before?.askedMs !== undefined;
    this.#note(pod, isHurried ? { graceSeconds } : { how, graceSeconds, askedMs: clock.now() });
    metrics.asked(how);
    const { interruption } = this.#record;
    const message = `${wordsFor(how)} with ${graceSeconds} s to end: ${describe(interruption)}`;
    events.onPod(pod, how === 'evicted' ? 'Normal' : 'Warning', 'InterruptionDrain', message);
  }

  onRefused(pod: PodView, by: 'budget' | 'other', reason: string): void {
    const before = this.#pods.get(pod.uid);
    this.#note(pod, { refusals: (before?.refusals ?? 0) + 1 });
    this.#parts.metrics.refused(by);
    if (before?.refusals === 0) this.#parts.events.onPod(pod, 'Warning', 'EvictionRefused', reason);
  }

  onEnded(pod: PodView): void {
    if (this.#pods.get(pod.uid)?.endedMs === undefined) this.#note(pod, { endedMs: this.#parts.clock.now() });
  }

  onGone(pod: PodView): void {
    this.#note(pod, { goneMs: this.#parts.clock.now() });
  }

  onSpared({ uid }: PodView): void {
    if (this.#pods.get(uid)?.askedMs === undefined) this.#pods.delete(uid);
  }

  /** The outcome per pod, for the log line about the drained node. */
  drainedFields(): { readonly pods: Readonly<Record<string, PodEnd>>; readonly left: readonly string[] } {
    const pods = [...this.#pods.values()];
    return {
      pods: Object.fromEntries(pods.map(({ pod, how }) => [pod, how])),
      left: pods.filter(isRunning).map(({ pod }) => pod),
    };
  }

  hasEnded(podUid: string): boolean {
    return this.#pods.get(podUid)?.endedMs !== undefined;
  }

  /** Whether this pod's wrapper has reported the end of its game. */
  hasGameEnded(podUid: string): boolean {
    return this.#endedGames.has(podUid);
  }

  /** This pod's wrapper reported how its game ended. */
  gameEnded(podUid: string, exitCode: number | undefined): void {
    if (this.#endedGames.size < maxPods) this.#endedGames.add(podUid);
    const record = this.#pods.get(podUid);
    if (record !== undefined) this.#pods.set(podUid, { ...record, exitCode });
  }

  volumesLeft(volumes: readonly string[]): void {
    this.#record = { ...this.#record, volumesLeft: volumes };
  }

  /**
   * The interruption was cancelled. If the journal was closed before, only an event reports that the node is restored.
   */
  cancelled(): void {
    const { interruption } = this.#record;
    if (!this.#isClosed) this.close('cancelled');
    else this.#parts.events.onNode('Normal', reasonFor.cancelled, `Over: ${describe(interruption)}`);
  }

  /** Reports the outcome once: in the log, the metrics, the events and webhooks. */
  close(outcome: InterruptionOutcome): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { log, metrics, events, tell } = this.#parts;
    const { interruption } = this.#record;
    const report = this.#report(outcome);
    log.info({ report }, 'Interruption report');
    metrics.ended(interruption, report);
    const isBad = outcome === 'incomplete' || outcome === 'unknown';
    events.onNode(isBad ? 'Warning' : 'Normal', reasonFor[outcome], summary(report));
    tell(report, interruption.deadlineMs);
  }

  #report(outcome: InterruptionOutcome): InterruptionReport {
    return interruptionReport({ ...this.#record, pods: [...this.#pods.values()] }, outcome, this.#parts.clock.now());
  }

  #note(pod: PodView, news: Partial<PodRecord>): void {
    // The watch may show a pod as gone before its eviction is answered. The late response must not add the pod again.
    if (!this.#pods.has(pod.uid)) this.onSeen(pod);
    const record = this.#pods.get(pod.uid);
    if (record !== undefined) this.#pods.set(pod.uid, { ...record, ...news });
  }
}

const reasonFor: Readonly<Record<InterruptionOutcome, string>> = {
  'under-way': 'InterruptionNoticed',
  drained: 'NodeDrained',
  incomplete: 'DrainIncomplete',
  unknown: 'DrainUnknown',
  cancelled: 'InterruptionCancelled',
};

/** `spot-termination (terminate) at 2026-04-24T17:11:44.000Z`; a rehearsal is named as one. */
export function describe({ kind, action, deadlineMs }: PlannedInterruption): string {
  const what = kind === 'rehearsal' ? 'rehearsal of an interruption' : `${kind} (${action})`;
  return `${what}${deadlineMs === undefined ? '' : ` at ${instant(deadlineMs)}`}`;
}

function wordsFor(how: PodEnd): string {
  return how === 'evicted' ? 'Evicted' : `Deleted (${how.replace('deleted-', '')})`;
}

/** A Kubernetes event's message holds at most 1024 characters. */
const maxNamed = 10;

function summary({ outcome, pods, pods_left: left, volumes_left: volumes, seconds_left }: InterruptionReport): string {
  const time = seconds_left === null ? '' : ` with ${seconds_left} s left`;
  if (left === null) return `Interruption ${outcome}${time}: the pods of the node could not be listed`;
  const ended = `${pods.length - left.length} of ${pods.length} pods ended`;
  return `Interruption ${outcome}${time}: ${ended}${named('left', left)}${named('volumes attached', volumes)}`;
}

function named(what: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  return `; ${what}: ${names.slice(0, maxNamed).join(', ')}${names.length > maxNamed ? ', ...' : ''}`;
}
