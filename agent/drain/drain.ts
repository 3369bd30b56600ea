import { type Backoff, backoffMs } from '../../shared/backoff.ts';
import type { Clock } from '../../shared/clock.ts';
import { errorText, type Log } from '../../shared/log.ts';
import type { Cluster, EvictOutcome } from '../cluster/cluster.ts';
import { type DeleteReason, type PodAttempt, planDrain, type Step } from './plan-drain.ts';
import { type PodView, podName } from './pod.ts';
import { podFilters, sparedBy } from './pod-filters.ts';

export interface DrainParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
  /** The agent's own pod, which it never moves. */
  readonly agentUid: string | undefined;
}

/** How a pod was made to go; `itself` where it was going, or went, without us. */
export type PodEnd = 'evicted' | `deleted-${DeleteReason}` | 'itself';

export interface DrainOutcome {
  readonly pods: ReadonlyMap<string, PodEnd>;
  /** Pods that were still there when the drain ended. */
  readonly left: readonly string[];
}

const backoff: Backoff = { firstMs: 100, longestMs: 2000 };
/** Calls under way at once: enough for an API server that takes half a second for each, and no flood for a small one. */
const mostCalls = 16;

/**
 * Moves this node's pods until none is left or the signal aborts. Every pass plans again from the pods as they are, so
 * `endByMs` may change between any two passes. One pod's failure never stops another.
 */
export class Drain {
  readonly #parts: Required<DrainParts>;
  readonly #attempts = new Map<string, PodAttempt>();
  readonly #ends = new Map<string, PodEnd>();
  #wake = Promise.withResolvers<void>();
  #endByMs: number;

  constructor(parts: DrainParts, endByMs: number) {
    this.#parts = { random: Math.random, ...parts };
    this.#endByMs = endByMs;
  }

  /** The deadline has moved: plan again at once. */
  moveEnd(endByMs: number): void {
    this.#endByMs = endByMs;
    this.#wake.resolve();
  }

  async run(signal: AbortSignal): Promise<DrainOutcome> {
    const { cluster, clock } = this.#parts;
    while (!signal.aborted) {
      const pods = this.#movablePods();
      // Not before the node was seen: an empty list may only mean that the API server has not answered yet.
      if (pods.length === 0 && cluster.node() !== undefined) break;
      const { steps, nextMs } = planDrain({
        pods,
        attempts: this.#attempts,
        endByMs: this.#endByMs,
        nowMs: clock.now(),
      });
      this.#wake = Promise.withResolvers();
      for (const step of steps.slice(0, mostCalls - this.#callsUnderWay())) void this.#take(step, signal);
      const pause = new AbortController();
      const sleep = clock.sleep(nextMs - clock.now(), AbortSignal.any([signal, pause.signal])).catch(() => {});
      await Promise.race([sleep, cluster.changed(), this.#wake.promise]);
      pause.abort();
    }
    return { pods: this.#ends, left: this.#movablePods().map(podName) };
  }

  #movablePods(): readonly PodView[] {
    const filters = podFilters(this.#parts.agentUid);
    const movable = this.#parts.cluster.pods().filter((pod) => sparedBy(filters, pod) === undefined);
    for (const pod of movable) if (!this.#ends.has(podName(pod))) this.#ends.set(podName(pod), 'itself');
    return movable;
  }

  #callsUnderWay(): number {
    return [...this.#attempts.values()].filter(({ isInFlight }) => isInFlight).length;
  }

  async #take(step: Step, signal: AbortSignal): Promise<void> {
    const { cluster, log } = this.#parts;
    const { pod, gracePeriodSeconds } = step;
    this.#note(pod, { isInFlight: true });
    try {
      const outcome =
        step.kind === 'evict'
          ? await cluster.evict(pod, gracePeriodSeconds, signal)
          : await cluster.deletePod(pod, gracePeriodSeconds, signal);
      this.#record(step, outcome);
    } catch (error) {
      if (signal.aborted) return;
      if (this.#failed(step, undefined) === 1)
        log.warn({ pod: podName(pod), err: errorText(error) }, `Cannot ${step.kind} pod`);
    } finally {
      this.#note(pod, { isInFlight: false });
      this.#wake.resolve();
    }
  }

  #record(step: Step, outcome: EvictOutcome): void {
    const { log, clock } = this.#parts;
    const fields = { pod: podName(step.pod), gracePeriodSeconds: step.gracePeriodSeconds };
    switch (outcome.kind) {
      case 'accepted': {
        const end: PodEnd = step.kind === 'evict' ? 'evicted' : `deleted-${step.why}`;
        // A pod that we evicted and then hurried was still evicted.
        if (end !== 'deleted-outlives' || this.#ends.get(podName(step.pod)) === 'itself')
          this.#ends.set(podName(step.pod), end);
        // The watch shows it in some milliseconds; until then it must not be asked again.
        this.#note(step.pod, { evictNotBeforeMs: clock.now() + settleMs, deleteNotBeforeMs: clock.now() + settleMs });
        log.info({ ...fields, how: end }, 'Pod asked to go');
        break;
      }
      case 'gone':
        this.#note(step.pod, { evictNotBeforeMs: clock.now() + settleMs, deleteNotBeforeMs: clock.now() + settleMs });
        break;
      case 'refused':
        if (this.#failed(step, outcome.retryAfterMs) === 1)
          log.info({ ...fields, reason: outcome.reason }, 'Budget refused eviction');
        break;
      case 'busy':
        this.#failed(step, outcome.retryAfterMs);
        break;
    }
  }

  /** Returns how often in all this pod could not be asked. */
  #failed({ kind, pod }: Step, retryAfterMs: number | undefined): number {
    const { clock, random } = this.#parts;
    const refusals = (this.#attempts.get(pod.uid)?.refusals ?? 0) + 1;
    const notBeforeMs = clock.now() + Math.max(retryAfterMs ?? 0, backoffMs(backoff, refusals, random));
    this.#note(pod, {
      refusals,
      ...(kind === 'evict' ? { evictNotBeforeMs: notBeforeMs } : { deleteNotBeforeMs: notBeforeMs }),
    });
    return refusals;
  }

  #note(pod: PodView, news: Partial<PodAttempt>): void {
    const before = this.#attempts.get(pod.uid) ?? {
      isInFlight: false,
      refusals: 0,
      evictNotBeforeMs: 0,
      deleteNotBeforeMs: 0,
    };
    this.#attempts.set(pod.uid, { ...before, ...news });
  }
}

const settleMs = 2000;
