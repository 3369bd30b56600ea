import { type Backoff, backoffMs } from '../../shared/backoff.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Interruption } from '../../shared/interruption/interruption.ts';
import { errorText, type Log } from '../../shared/log.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { markPatch, type NodeView, unmarkPatch } from './node-mark.ts';

export interface CordonParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
}

const backoff: Backoff = { firstMs: 100, longestMs: 2000 };
const conflictPauseMs = 50;

/** Cordons, taints and annotates the node; tries until it is done or the signal aborts. Resolves with whether it is done. */
export function cordonNode(parts: CordonParts, interruption: Interruption, signal: AbortSignal): Promise<boolean> {
  return patchUntilDone(parts, 'cordon', (node) => markPatch(node, interruption), signal);
}

/** Takes back what {@link cordonNode} did to the node, and nothing else. Resolves with whether it is done. */
export function uncordonNode(parts: CordonParts, signal: AbortSignal): Promise<boolean> {
  return patchUntilDone(parts, 'uncordon', unmarkPatch, signal);
}

/**
 * The first try uses the node as the watch has it, without a request. Where somebody wrote in between, the patch is made anew
 * from the node as it is now: taints that a full update would lose are kept.
 */
async function patchUntilDone(
  { cluster, clock, log, random = Math.random }: CordonParts,
  act: 'cordon' | 'uncordon',
  makePatch: (node: NodeView) => object | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  let node = cluster.node();
  for (let failures = 0; !signal.aborted; ) {
    try {
      node ??= await cluster.readNode(signal);
      if (node === undefined) return false;
      const patch = makePatch(node);
      if (patch === undefined) return true;
      const outcome = await cluster.patchNode(patch, node.resourceVersion, signal);
      if (outcome.kind === 'patched') return true;
      if (outcome.kind === 'gone') return false;
      // A conflict is news, not a failure: read and write again soon, at odds with whoever else is writing.
      await clock.sleep(conflictPauseMs * random(), signal);
      node = undefined;
    } catch (error) {
      if (signal.aborted) break;
      failures++;
      if (failures === 1) log.warn({ act, err: errorText(error) }, 'Cannot patch node');
      node = undefined;
      await clock.sleep(backoffMs(backoff, failures, random), signal).catch(() => {});
    }
  }
  return false;
}
