import type { Clock } from '../../shared/clock.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { NewCauses } from '../../shared/new-causes.ts';
import { type Backoff, RetryPause } from '../../shared/retry.ts';
import type { Ec2Place } from '../interruption/ec2/ec2-place.ts';
import type { LifecycleAction } from './auto-scaling-client.ts';

/**
 * The node's state with respect to its Auto Scaling group. `leaving`: pods are still to go. `done`: nothing keeps the
 * instance any more.
 */
export type Departure = 'staying' | 'leaving' | 'done';

export interface LifecycleHookOptions {
  /** Name of the termination hook that this agent completes. */
  readonly hookName: string;
  /** Identifies the instance, as far as known. */
  readonly place: () => Ec2Place | undefined;
  readonly departure: () => Departure;
  /** Whether a report on the drain is still being sent. Afterwards this machine has only seconds. */
  readonly isReporting: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly heartbeatMs?: number;
  readonly random?: () => number;
}

/** Half of the shortest possible timeout of a hook. */
const shortestHeartbeatMs = 15_000;
const lookMs = 1000;
/** Maximum wait for a report whose receiver is unreachable. */
const maxReportingMs = 10_000;
const backoff: Backoff = { firstMs: 500, maxMs: 15_000 };

/**
 * Keeps an instance that its Auto Scaling group terminates alive by heartbeats until its pods have gone, and then lets
 * it go at once. Otherwise the group would wait for the hook's timeout, an hour by default.
 */
export class LifecycleHook {
  readonly #options: LifecycleHookOptions;

  constructor(options: LifecycleHookOptions) {
    this.#options = options;
  }

  /** Runs until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { departure, clock } = this.#options;
    let isCompleted = false;
    while (!signal.aborted) {
      if (departure() === 'staying') isCompleted = false;
      else if (!isCompleted) isCompleted = await this.#accompany(signal);
      await clock.sleep(lookMs, signal).catch(() => {});
    }
  }

  /** Follows one termination to its end; false: it was withdrawn, or the signal aborted. */
  async #accompany(signal: AbortSignal): Promise<boolean> {
    const { departure, isReporting, clock, log, hookName, random } = this.#options;
    const { heartbeatMs = shortestHeartbeatMs } = this.#options;
    const causes = new NewCauses();
    let action: LifecycleAction | undefined;
    let beatMs = Number.NEGATIVE_INFINITY;
    let beats = 0;
    let doneMs: number | undefined;
    const retries = new RetryPause({ backoff, clock, random });
    try {
      while (!signal.aborted) {
        const now = departure();
        if (now === 'staying') return false;
        if (now === 'done') doneMs ??= performance.now();
        const mayGo = doneMs !== undefined && (!isReporting() || performance.now() - doneMs > maxReportingMs);
        try {
          action ??= await this.#open(signal);
          if (mayGo) {
            await action.complete(signal);
            log.info({ hook: hookName, beats }, 'Lifecycle action completed');
            return true;
          }
          if (performance.now() - beatMs >= heartbeatMs) {
            await action.heartbeat(signal);
            beatMs = performance.now();
            if (++beats === 1) log.info({ hook: hookName }, 'Lifecycle action kept open until the drain is done');
          }
          retries.progressed();
        } catch (error) {
          retries.failed();
          const err = errorText(error);
          if (!signal.aborted && causes.isNew(err)) log.warn({ hook: hookName, err }, 'Cannot reach Auto Scaling');
        }
        if (retries.failures > 0) await retries.wait(signal);
        else await clock.sleep(Math.min(lookMs, heartbeatMs), signal).catch(() => {});
      }
      return false;
    } finally {
      action?.close();
    }
  }

  async #open(signal: AbortSignal): Promise<LifecycleAction> {
    const { place, hookName } = this.#options;
    const at = place();
    if (at === undefined) throw new Error('Cannot reach Auto Scaling: instance ID unknown');
    const { openLifecycleAction } = await import('./auto-scaling-client.ts');
    return openLifecycleAction(at, hookName, signal);
  }
}
