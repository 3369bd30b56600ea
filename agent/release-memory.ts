import type { Clock } from '../shared/clock.ts';
import { collectGarbage } from '../shared/collect-garbage.ts';

/** By then everything is loaded, the node and its pods are listed and the wrappers have come back. */
const afterStartMs = 15_000;

/**
 * Gives back once what starting up took. An idle agent makes so little garbage that V8 never sees a reason to, and would keep about 10 MiB of it
 * for ever on every node.
 */
export async function releaseMemory(clock: Clock, signal: AbortSignal): Promise<void> {
  await clock.sleep(afterStartMs, signal).catch(() => {});
  if (signal.aborted) return;
  collectGarbage();
}
