import type { Clock } from '../shared/clock.ts';
import { collectGarbage } from '../shared/v8/collect-garbage.ts';

/** By then everything is loaded, node and pods are listed, and the wrappers have reconnected. */
const afterStartMs = 15_000;
/** Polling makes 40 KiB of garbage a second, of which V8 would let 20 MiB accumulate. */
const everyMs = 120_000;

/**
 * Frees the memory of the start, and later the garbage of polling. An idle agent makes too little garbage for V8 to
 * collect it.
 */
export async function releaseMemory(clock: Clock, signal: AbortSignal): Promise<void> {
  for (let pauseMs = afterStartMs; ; pauseMs = everyMs) {
    await clock.sleep(pauseMs, signal).catch(() => {});
    if (signal.aborted) return;
    collectGarbage();
  }
}
