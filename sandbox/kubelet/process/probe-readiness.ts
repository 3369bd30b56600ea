import { setTimeout as delay } from 'node:timers/promises';
import { countProbe, unprobed } from '../pod/count-probe.ts';
import type { Probe } from '../pod/pod.ts';
import { type ActionPlace, runAction } from './run-action.ts';

/** Probes until `signal` aborts and reports each change of readiness. */
export async function probeReadiness(
  probe: Probe,
  place: ActionPlace,
  { tellReady, signal }: { tellReady(ready: boolean): void; signal: AbortSignal },
): Promise<void> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
  let count = unprobed;
  try {
    await delay((probe.initialDelaySeconds ?? 0) * 1000, undefined, { signal });
    while (!signal.aborted) {
      const ok = await runAction(probe, place, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]));
      if (signal.aborted) return;
      const next = countProbe(count, ok, probe);
      if (next.ready !== count.ready) tellReady(next.ready);
      count = next;
      await delay((probe.periodSeconds ?? 10) * 1000, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
