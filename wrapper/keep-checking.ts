import type { Clock } from '../shared/clock.ts';
import { errorText } from '../shared/log.ts';
import type { ReadyCheck } from './game/ready-check.ts';
import type { LifeEvent } from './life/lifecycle.ts';

export interface CheckTimes {
  /** Time limit for the game to become ready. */
  readonly readyTimeoutMs: number;
  /** Pause between checks once the game is ready; undefined: no further checks. */
  readonly livenessMs: number | undefined;
}

const firstPollMs = 10;
const maxPollMs = 250;
/**
 * Checks take at most 1/idleShare of the time: walking the kernel's socket tables costs milliseconds on a large
 * machine.
 */
const idleShare = 20;
/**
 * Upper limit for that rest: on a machine so busy that checks are slow for other reasons, keep checking at least this
 * often.
 */
const maxRestMs = 500;
/** A game that rebinds its port (a map change) is not unhealthy. */
const failuresInARow = 3;

export interface CheckContext {
  readonly clock: Clock;
  readonly random: () => number;
  /** Milliseconds of a monotonic clock. */
  readonly upMs: () => number;
  readonly push: (lifeEvent: LifeEvent) => void;
}

/** Watches until the game is ready and then checks that it stays ready, until the signal aborts. */
export async function keepChecking(
  check: ReadyCheck,
  { readyTimeoutMs, livenessMs }: CheckTimes,
  context: CheckContext,
  signal: AbortSignal,
): Promise<void> {
  const { clock, random, push, upMs } = context;
  // Use the monotonic clock: on an instance that has just booted the wall clock jumps while the game loads.
  const limitMs = upMs() + readyTimeoutMs;
  for (let pollMs = firstPollMs, costMs = 0; ; pollMs = Math.min(pollMs * 1.3, maxPollMs)) {
    await clock.sleep(Math.max(pollMs, Math.min(costMs * idleShare, maxRestMs)), signal);
    const beganMs = upMs();
    const missing = await problemOf(check);
    if (missing === undefined) break;
    costMs = upMs() - beganMs;
    if (upMs() < limitMs) continue;
    push({ kind: 'game-not-ready', missing });
    return;
  }
  signal.throwIfAborted();
  push({ kind: 'game-ready' });
  for (let failures = 0, wasWell = true; livenessMs !== undefined; ) {
    // Check again sooner after a problem, so that the verdict comes after about one period.
    const pauseMs = failures > 0 && wasWell ? livenessMs / failuresInARow : livenessMs;
    await clock.sleep(pauseMs * (0.9 + 0.2 * random()), signal);
    const problem = await problemOf(check);
    failures = problem === undefined ? 0 : failures + 1;
    const isWell: boolean = failures < failuresInARow && (failures === 0 || wasWell);
    if (isWell !== wasWell) push({ kind: 'health-checked', problem });
    wasWell = isWell;
  }
}

/** A check that throws counts as a problem. */
async function problemOf(check: ReadyCheck): Promise<string | undefined> {
  try {
    return await check();
  } catch (error) {
    return errorText(error);
  }
}
