import type { Clock } from '../shared/clock.ts';
import { collectGarbage } from '../shared/v8/collect-garbage.ts';

/** By then everything is loaded, the node and its pods are listed and the wrappers have come back. */
const afterStartMs = 15_000;
/** Polling makes some 40 KiB of garbage a second, of which V8 would let 20 MiB pile up. */
const everyMs = 120_000;

/**
 * Gives back what starting up took, and from then on what polling leaves behind. An idle agent makes so little garbage
 * that V8 never sees a reason to.
 */
export async function releaseMemory(clock: Clock, signal: AbortSignal): Promise<void> {
  for (let pauseMs = afterStartMs; ; pauseMs = everyMs) {
    await clock.sleep(pauseMs, signal).catch(() => {});
    if (signal.aborted) return;
    collectGarbage();
  }
}
