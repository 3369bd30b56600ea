import type { Clock } from '../../shared/clock.ts';
import { KubeError } from '../../shared/kubernetes/kube-answer.ts';
import type { Occupancy } from '../../shared/link/link-message.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { type Backoff, backoffMs } from '../../shared/retry.ts';
import type { Cluster, EvictOutcome } from '../cluster/cluster.ts';
import { type CordonProgress, maxHoldMs, mustAwaitCordon } from './await-cordon.ts';
import { CallLimit } from './call-limit.ts';
import { type DeleteReason, isWithoutEffect, type PodAttempt, planDrain, type Step, untried } from './plan-drain.ts';
import { type PodView, podName } from './pod.ts';
import { type DrainSelection, podFilters, sparedBy } from './pod-filters.ts';

/** How the pod was removed. `itself`: it was already going, or went without us. */
export type PodEnd = 'evicted' | `deleted-${DeleteReason}` | 'itself';

/** Receives what happens to the pods, as it happens. */
export interface DrainListener {
  readonly onSeen: (pod: PodView) => void;
  readonly onAsked: (pod: PodView, how: PodEnd, gracePeriodSeconds: number) => void;
  readonly onRefused: (pod: PodView, by: 'budget' | 'other', reason: string) => void;
  /** Its containers have ended; the pod object disappears a little later. */
  readonly onEnded: (pod: PodView) => void;
  readonly onGone: (pod: PodView) => void;
  /** The pod was to go and stays after all, because players have joined it. */
  readonly onSpared: (pod: PodView) => void;
}

/** `idle`: only game servers that report no players, each as soon as it does. */
export type DrainScope = 'all' | 'idle';

export interface DrainParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly log: Log;
  readonly listener: DrainListener;
  readonly random?: () => number;
  /** The agent's own pod, which it never drains. */
  readonly agentUid: string | undefined;
  /** Whether to delete pods that a budget protects. */
  readonly mayDelete: () => boolean;
  /** Whether game servers have players, by pod uid, where known. */
  readonly occupancies: () => ReadonlyMap<string, Occupancy>;
  readonly scope: DrainScope;
  readonly selection: DrainSelection;
  /** Replaces each pod's own grace period. */
  readonly graceOverrideSeconds: number | undefined;
  /** The progress of the cordon. */
  readonly cordon: () => Omit<CordonProgress, 'silentMs'>;
  /**
   * Called before calls resume after an outage, and at the first response after it, so that the cordon gets its head
   * start.
   */
  readonly onAnswering: () => void;
}

/** Pauses after a budget's refusals. They grow to 5 s, the interval of kubectl's retries. */
const askAgain: Backoff = { firstMs: 100, maxMs: 5000 };
/** Covers the Retry-After of a budget that the controller has not counted yet. Longer ones would use up the notice. */
const maxRetryAfterMs = 10_000;
/** Pauses after failed calls. They are short, because the pod still has to go. */
const tryAgain: Backoff = { firstMs: 100, maxMs: 1000 };
/**
 * The watch shows an accepted call within milliseconds. If it has not by then, either the watch or the response is
 * wrong.
 */
const settleMs = 3000;
/** Maximum wait for the list that decides which of them is wrong; the list counts for as long. */
const lookAgainMs = 1000;
/** Minimum time between two calls of `onAnswering`. */
const minAnsweringPauseMs = 5000;
/** Interval of checks whether the node is cordoned. */
const awaitCordonMs = 25;

/**
 * Drains this node until no pod is left or the signal aborts. Each pass plans from the current pods, so `endByMs` may
 * change between passes. A failure with one pod never stops the others.
 */
export class Drain {
  readonly #parts: Required<DrainParts>;
  readonly #attempts = new Map<string, PodAttempt>();
  readonly #seen = new Map<string, PodView>();
  readonly #limit = new CallLimit();
  #wake = Promise.withResolvers<void>();
  #endByMs: number;
  #isHeldBack = false;
  #hasSeenPods = false;
  #hasMoved = false;
  /** Time of the last call without a response; undefined: a later call had one. */
  #silentAtMs: number | undefined;
  #hasBeenAway = false;
  #answeringAtMs = Number.NEGATIVE_INFINITY;
  #lookAgain: Promise<unknown> = Promise.resolve();
  #lookedAgainMs = Number.NEGATIVE_INFINITY;

  /** `endByMs` is infinite if the pods have no deadline yet. */
  constructor(parts: DrainParts, endByMs: number) {
    this.#parts = { random: Math.random, ...parts };
    this.#endByMs = endByMs;
  }

  /** The deadline has moved: plan again at once. */
  moveEnd(endByMs: number): void {
    this.#endByMs = endByMs;
    this.#wake.resolve();
  }

  /** Whether a call is in flight, or a step waits for the call limit. */
  get isAsking(): boolean {
    return this.#isHeldBack || [...this.#attempts.values()].some(({ isInFlight }) => isInFlight);
  }

  /** Whether it has ever seen a pod of this node, whether or not to be drained. */
  get hasSeenPods(): boolean {
    return this.#hasSeenPods;
  }

  /** Whether there was ever a pod to drain. */
  get hasMoved(): boolean {
    return this.#hasMoved;
  }

  /** The pods that are still to go; undefined: not known yet. */
  left(): readonly PodView[] | undefined {
    return this.#movablePods();
  }

  /** Names of running pods that the drain leaves alone at someone's request. */
  keptRunning(): readonly string[] {
    const { agentUid, cluster, selection } = this.#parts;
    const filters = podFilters(agentUid, selection);
    const isKept = (pod: PodView) => ['opted-out', 'not-selected'].includes(sparedBy(filters, pod) ?? '');
    return (cluster.pods() ?? []).filter((pod) => isKept(pod) && !pod.isFinished).map(podName);
  }

  /** Resolves with true when no pod is left, with false when the signal aborts first. */
  async run(signal: AbortSignal): Promise<boolean> {
    const { cluster, clock } = this.#parts;
    while (!signal.aborted) {
      const pods = this.#look();
      this.#isHeldBack = false;
      if (pods?.length === 0) return true;
      const nowMs = clock.now();
      const attempts = this.#attempts;
      const isAwaitingCordon = this.#mustAwaitCordon(nowMs);
      const { steps, nextMs } = planDrain({
        ...{ attempts, nowMs, pods: pods ?? [], endByMs: this.#endByMs, isAwaitingCordon },
        mayDelete: this.#parts.mayDelete(),
        occupancies: this.#parts.occupancies(),
      });
      this.#wake = Promise.withResolvers();
      const free = this.#limit.free(nowMs);
      for (const step of steps.slice(0, free)) void this.#take(step, signal);
      this.#isHeldBack = steps.length > free;
      const heldBackMs = steps.length > free ? Math.min(nextMs, this.#limit.pausedUntilMs) : nextMs;
      const wakeMs = isAwaitingCordon ? Math.min(heldBackMs, nowMs + awaitCordonMs) : heldBackMs;
      const pause = new AbortController();
      const sleep = clock.sleep(wakeMs - nowMs, AbortSignal.any([signal, pause.signal])).catch(() => {});
      await Promise.race([sleep, cluster.changed(), this.#wake.promise]);
      pause.abort();
    }
    this.#isHeldBack = false;
    return false;
  }

  #mustAwaitCordon(nowMs: number): boolean {
    const silentMs = this.#silentAtMs === undefined ? undefined : nowMs - this.#silentAtMs;
    if (silentMs !== undefined && silentMs >= maxHoldMs) {
      // The cordon retries before evictions do, with its head start.
      this.#silentAtMs = undefined;
      this.#parts.onAnswering();
    }
    return mustAwaitCordon({ ...this.#parts.cordon(), silentMs });
  }

  #movablePods(): readonly PodView[] | undefined {
    const { agentUid, cluster, scope, occupancies, selection, graceOverrideSeconds } = this.#parts;
    const filters = podFilters(agentUid, selection);
    const movable = cluster
      .pods()
      ?.filter((pod) => sparedBy(filters, pod) === undefined && !isOver(pod))
      .map((pod) => (graceOverrideSeconds === undefined ? pod : { ...pod, gracePeriodSeconds: graceOverrideSeconds }));
    if (scope === 'all') return movable;
    const known = occupancies();
    const isGoing = ({ uid, goneByMs }: PodView) => goneByMs !== undefined && this.#seen.has(uid);
    return movable?.filter((pod) => known.get(pod.uid) === 'idle' || isGoing(pod));
  }

  /** Tells the listener which pods appeared and disappeared since the last call, and forgets those that disappeared. */
  #look(): readonly PodView[] | undefined {
    const { listener, cluster } = this.#parts;
    const pods = this.#movablePods();
    if (pods === undefined) return undefined;
    const onNode = new Map(cluster.pods()?.map((pod) => [pod.uid, pod]));
    this.#hasSeenPods ||= onNode.size > 0;
    this.#hasMoved ||= pods.length > 0;
    const present = new Map(pods.map((pod) => [pod.uid, pod]));
    for (const [uid, pod] of present) {
      const before = this.#seen.get(uid);
      if (before === undefined) listener.onSeen(pod);
      if (pod.hasEnded && before?.hasEnded !== true) listener.onEnded(pod);
      this.#seen.set(uid, pod);
    }
    for (const [uid, pod] of this.#seen) {
      if (present.has(uid)) continue;
      this.#seen.delete(uid);
      this.#attempts.delete(uid);
      const listed = onNode.get(uid);
      if (listed !== undefined && !isOver(listed)) listener.onSpared(pod);
      else listener.onGone(pod);
    }
    return pods;
  }

  async #take(step: Step, signal: AbortSignal): Promise<void> {
    const { cluster, log, clock } = this.#parts;
    const { pod, gracePeriodSeconds } = step;
    const isDoubtful = isWithoutEffect(pod, this.#attempts.get(pod.uid) ?? untried, clock.now());
    this.#note(pod, { isInFlight: true });
    this.#limit.begin();
    try {
      if (isDoubtful && !(await this.#isStillThere(pod, signal))) return;
      const outcome =
        step.kind === 'evict'
          ? await cluster.evict(pod, gracePeriodSeconds, signal)
          : await cluster.deletePod(pod, gracePeriodSeconds, signal);
      this.#record(step, outcome);
    } catch (error) {
      if (signal.aborted) return;
      const failures = (this.#attempts.get(pod.uid)?.failures ?? 0) + 1;
      this.#limit.failed(clock.now(), pod.uid);
      if (isSilence(error)) {
        this.#silentAtMs = clock.now();
        this.#hasBeenAway = true;
      }
      const pauseMs = backoffMs(tryAgain, failures, this.#parts.random);
      this.#note(pod, { failures, untouchedUntilMs: clock.now() + pauseMs });
      if (failures === 1) log.warn({ pod: podName(pod), err: errorText(error) }, `Cannot ${step.kind} pod`);
    } finally {
      this.#limit.end();
      if (this.#attempts.has(pod.uid)) this.#note(pod, { isInFlight: false });
      this.#wake.resolve();
    }
  }

  /**
   * A call was accepted, yet the pod is not terminating. A fresh list shows whether that is so or the watch lags
   * behind.
   */
  async #isStillThere({ uid }: PodView, signal: AbortSignal): Promise<boolean> {
    const { cluster, clock } = this.#parts;
    if (clock.now() - this.#lookedAgainMs > lookAgainMs) {
      this.#lookedAgainMs = clock.now();
      this.#lookAgain = cluster.listPods(signal).catch(() => cluster.doubt());
    }
    await Promise.race([this.#lookAgain, clock.sleep(lookAgainMs, signal).catch(() => {})]);
    const pod = cluster.pods()?.find((listed) => listed.uid === uid);
    return pod !== undefined && pod.goneByMs === undefined;
  }

  #record(step: Step, outcome: EvictOutcome): void {
    const { log, clock, random, listener } = this.#parts;
    const { pod, gracePeriodSeconds } = step;
    const attempt = this.#attempts.get(pod.uid) ?? untried;
    const fields = { pod: podName(pod), gracePeriodSeconds };
    const nowMs = clock.now();
    this.#silentAtMs = undefined;
    switch (outcome.kind) {
      case 'accepted': {
        const how: PodEnd = step.kind === 'evict' ? 'evicted' : `deleted-${step.why}`;
        this.#limit.served();
        this.#note(pod, { accepted: attempt.accepted + 1, untouchedUntilMs: nowMs + settleMs });
        if (how === 'deleted-no-effect') log.warn(fields, 'Eviction was accepted without effect: pod deleted');
        log.info({ ...fields, how }, 'Pod termination requested');
        listener.onAsked(pod, how, gracePeriodSeconds);
        break;
      }
      case 'gone':
        this.#limit.served();
        break;
      case 'refused': {
        this.#limit.served();
        const { by, reason, retryAfterMs = 0 } = outcome;
        const { refusals, objections } = attempt;
        const count = { refusals: refusals + Number(by === 'budget'), objections: objections + Number(by === 'other') };
        const refused = count.refusals + count.objections;
        const waitMs = Math.max(Math.min(retryAfterMs, maxRetryAfterMs), backoffMs(askAgain, refused, random));
        // Nothing follows a refused deletion, so it is only retried.
        const pause = step.kind === 'evict' ? { evictAfterMs: nowMs + waitMs } : { untouchedUntilMs: nowMs + waitMs };
        this.#note(pod, { ...count, accepted: 0, ...pause });
        if (refused === 1)
          log.info(
            { ...fields, reason },
            by === 'budget' ? 'Eviction refused by budget' : `API server refused to ${step.kind} pod`,
          );
        // The report no longer includes a pod that was spared meanwhile.
        if (this.#seen.has(pod.uid)) listener.onRefused(pod, by, reason);
        break;
      }
      case 'busy': {
        const waitMs = this.#limit.busy(nowMs, outcome.retryAfterMs, pod.uid);
        // Pods shed together have simply not had their turn. A pod that is shed alone repeatedly is being refused.
        if (waitMs > 0) this.#note(pod, { shed: attempt.shed + 1, untouchedUntilMs: nowMs + waitMs });
        this.#hasBeenAway = true;
        break;
      }
    }
    if (outcome.kind !== 'busy') this.#noteAnswer();
  }

  /**
   * Limits the head starts: otherwise evictions would wait each time if the cordon keeps failing and the server is
   * often busy.
   */
  #noteAnswer(): void {
    const nowMs = this.#parts.clock.now();
    if (!this.#hasBeenAway || nowMs - this.#answeringAtMs < minAnsweringPauseMs) return;
    this.#hasBeenAway = false;
    this.#answeringAtMs = nowMs;
    this.#parts.onAnswering();
  }

  #note(pod: PodView, news: Partial<PodAttempt>): void {
    this.#attempts.set(pod.uid, { ...(this.#attempts.get(pod.uid) ?? untried), ...news });
  }
}

/** Whether the API server was not reached: no response, or one from a proxy in front of it. */
function isSilence(error: unknown): boolean {
  return !(error instanceof KubeError) || error.trouble === 'server';
}

/** A finished pod that a finalizer keeps is already deleted, and nothing of it runs. */
function isOver({ isFinished, goneByMs }: PodView): boolean {
  return isFinished && goneByMs !== undefined;
}
