import { type Backoff, backoffMs } from '../../shared/backoff.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Occupancy } from '../../shared/link/link-message.ts';
import { errorText, type Log } from '../../shared/log.ts';
import type { Cluster, EvictOutcome } from '../cluster/cluster.ts';
import { CallLimit } from './call-limit.ts';
import { type DeleteReason, type PodAttempt, planDrain, type Step, untried } from './plan-drain.ts';
import { type PodView, podName } from './pod.ts';
import { podFilters, sparedBy } from './pod-filters.ts';

/** How a pod was made to go; `itself` where it was going, or went, without us. */
export type PodEnd = 'evicted' | `deleted-${DeleteReason}` | 'itself';

/** Hears what happens to the pods, as it happens. */
export interface DrainListener {
  readonly onSeen: (pod: PodView) => void;
  readonly onAsked: (pod: PodView, how: PodEnd, gracePeriodSeconds: number) => void;
  readonly onRefused: (pod: PodView, reason: string) => void;
  readonly onGone: (pod: PodView) => void;
  /** It was to go, and stays after all: somebody has begun to play on it. */
  readonly onSpared: (pod: PodView) => void;
}

/** `idle`: only game servers on which, as they say, nobody plays; each of the others when it becomes so. */
export type DrainScope = 'all' | 'idle';

export interface DrainParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly log: Log;
  readonly listener: DrainListener;
  readonly random?: () => number;
  /** The agent's own pod, which it never moves. */
  readonly agentUid: string | undefined;
  /** Whether pods that a budget holds back may be deleted. */
  readonly mayDelete: () => boolean;
  /** By pod uid, where it is known whether somebody plays on it. */
  readonly occupancies: () => ReadonlyMap<string, Occupancy>;
  readonly scope: DrainScope;
}

/** Refusals by a budget: it is asked again no more often than kubectl would. */
const askAgain: Backoff = { firstMs: 100, maxMs: 5000 };
/** What a budget that was not counted yet asks for; longer ones would spend the notice. */
const maxRetryAfterMs = 10_000;
/** Calls that failed: the pod is still to go, and time runs. */
const tryAgain: Backoff = { firstMs: 100, maxMs: 1000 };
/** The watch shows an accepted call within some milliseconds; where it has not by then, either of the two is wrong. */
const settleMs = 3000;

/**
 * Moves this node's pods until none is left or the signal aborts. Every pass plans again from the pods as they are, so
 * `endByMs` may change between any two passes. One pod's failure never stops another.
 */
export class Drain {
  readonly #parts: Required<DrainParts>;
  readonly #attempts = new Map<string, PodAttempt>();
  readonly #seen = new Map<string, PodView>();
  readonly #limit = new CallLimit();
  #wake = Promise.withResolvers<void>();
  #endByMs: number;
  #isHeldBack = false;

  /** `endByMs` is infinite where nobody has to go yet. */
  constructor(parts: DrainParts, endByMs: number) {
    this.#parts = { random: Math.random, ...parts };
    this.#endByMs = endByMs;
  }

  /** The deadline has moved: plan again at once. */
  moveEnd(endByMs: number): void {
    this.#endByMs = endByMs;
    this.#wake.resolve();
  }

  /** Whether a pod still waits for its first answer, or a step for a call that may be made. */
  get isAsking(): boolean {
    const pods = this.#movablePods();
    return (
      this.#isHeldBack ||
      pods === undefined ||
      pods.some(({ uid, goneByMs }) => goneByMs === undefined && !this.#attempts.has(uid))
    );
  }

  /** Names of the pods that are still to go; undefined while the pods are not known. */
  left(): readonly string[] | undefined {
    return this.#movablePods()?.map(podName);
  }

  /** Resolves with whether no pod is left; false where the signal aborted first. */
  async run(signal: AbortSignal): Promise<boolean> {
    const { cluster, clock } = this.#parts;
    while (!signal.aborted) {
      const pods = this.#look();
      this.#isHeldBack = false;
      if (pods?.length === 0) return true;
      const nowMs = clock.now();
      const attempts = this.#attempts;
      const { steps, nextMs } = planDrain({
        ...{ attempts, nowMs, pods: pods ?? [], endByMs: this.#endByMs },
        mayDelete: this.#parts.mayDelete(),
        occupancies: this.#parts.occupancies(),
      });
      this.#wake = Promise.withResolvers();
      const free = this.#limit.free(nowMs);
      for (const step of steps.slice(0, free)) void this.#take(step, signal);
      this.#isHeldBack = steps.length > free;
      const wakeMs = steps.length > free ? Math.min(nextMs, this.#limit.pausedUntilMs) : nextMs;
      const pause = new AbortController();
      const sleep = clock.sleep(wakeMs - nowMs, AbortSignal.any([signal, pause.signal])).catch(() => {});
      await Promise.race([sleep, cluster.changed(), this.#wake.promise]);
      pause.abort();
    }
    this.#isHeldBack = false;
    return false;
  }

  #movablePods(): readonly PodView[] | undefined {
    const { agentUid, cluster, scope, occupancies } = this.#parts;
    const filters = podFilters(agentUid);
    const movable = cluster.pods()?.filter((pod) => sparedBy(filters, pod) === undefined);
    if (scope === 'all') return movable;
    const known = occupancies();
    const isGoing = ({ uid, goneByMs }: PodView) => goneByMs !== undefined && this.#seen.has(uid);
    return movable?.filter((pod) => known.get(pod.uid) === 'idle' || isGoing(pod));
  }

  /** Tells the listener which pods came and went since the last look, and forgets those that went. */
  #look(): readonly PodView[] | undefined {
    const { listener, cluster } = this.#parts;
    const pods = this.#movablePods();
    if (pods === undefined) return undefined;
    const onNode = new Set(cluster.pods()?.map(({ uid }) => uid));
    const present = new Map(pods.map((pod) => [pod.uid, pod]));
    for (const [uid, pod] of present) {
      if (!this.#seen.has(uid)) listener.onSeen(pod);
      this.#seen.set(uid, pod);
    }
    for (const [uid, pod] of this.#seen) {
      if (present.has(uid)) continue;
      this.#seen.delete(uid);
      this.#attempts.delete(uid);
      if (onNode.has(uid)) listener.onSpared(pod);
      else listener.onGone(pod);
    }
    return pods;
  }

  async #take(step: Step, signal: AbortSignal): Promise<void> {
    const { cluster, log, clock } = this.#parts;
    const { pod, gracePeriodSeconds } = step;
    if (this.#isDoubtful(pod)) cluster.doubt();
    this.#note(pod, { isInFlight: true });
    this.#limit.begin();
    try {
      const outcome =
        step.kind === 'evict'
          ? await cluster.evict(pod, gracePeriodSeconds, signal)
          : await cluster.deletePod(pod, gracePeriodSeconds, signal);
      this.#record(step, outcome);
    } catch (error) {
      if (signal.aborted) return;
      const failures = this.#count(pod);
      this.#limit.failed(clock.now());
      this.#note(pod, { untouchedUntilMs: clock.now() + backoffMs(tryAgain, failures, this.#parts.random) });
      if (failures === 1) log.warn({ pod: podName(pod), err: errorText(error) }, `Cannot ${step.kind} pod`);
    } finally {
      this.#limit.end();
      this.#note(pod, { isInFlight: false });
      this.#wake.resolve();
    }
  }

  /** It was asked to go a while ago and was heard, and yet nothing shows it. */
  #isDoubtful({ uid, goneByMs }: PodView): boolean {
    const { untouchedUntilMs = 0, refusals = 0 } = this.#attempts.get(uid) ?? {};
    return goneByMs === undefined && untouchedUntilMs > 0 && refusals === 0;
  }

  #record(step: Step, outcome: EvictOutcome): void {
    const { log, clock, random, listener } = this.#parts;
    const { pod, gracePeriodSeconds } = step;
    const fields = { pod: podName(pod), gracePeriodSeconds };
    switch (outcome.kind) {
      case 'accepted': {
        const how: PodEnd = step.kind === 'evict' ? 'evicted' : `deleted-${step.why}`;
        this.#limit.served();
        this.#note(pod, { untouchedUntilMs: clock.now() + settleMs });
        log.info({ ...fields, how }, 'Pod asked to go');
        listener.onAsked(pod, how, gracePeriodSeconds);
        break;
      }
      case 'gone':
        this.#limit.served();
        break;
      case 'refused': {
        this.#limit.served();
        const refusals = this.#count(pod);
        this.#note(pod, {
          evictAfterMs:
            clock.now() +
            Math.max(Math.min(outcome.retryAfterMs ?? 0, maxRetryAfterMs), backoffMs(askAgain, refusals, random)),
        });
        if (refusals === 1) log.info({ ...fields, reason: outcome.reason }, 'Budget refused eviction');
        listener.onRefused(pod, outcome.reason);
        break;
      }
      case 'busy':
        this.#limit.busy(clock.now(), outcome.retryAfterMs);
        break;
    }
  }

  /** Returns how often in all this pod could not be moved. */
  #count(pod: PodView): number {
    const refusals = (this.#attempts.get(pod.uid)?.refusals ?? 0) + 1;
    this.#note(pod, { refusals });
    return refusals;
  }

  #note(pod: PodView, news: Partial<PodAttempt>): void {
    this.#attempts.set(pod.uid, { ...(this.#attempts.get(pod.uid) ?? untried), ...news });
  }
}
