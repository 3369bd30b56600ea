import type { Interruption } from '../shared/interruption/interruption.ts';
import { readMark } from './cordon/node-mark.ts';
import { type Observation, type Tracked, trackInterruption } from './interruption/track-interruption.ts';
import { interruptionFields, Response, type ResponseParts } from './response.ts';

export interface AgentParts extends ResponseParts {
  /** Looks at the metadata service, again and again. */
  readonly observe: (signal: AbortSignal) => AsyncIterable<Observation>;
}

/**
 * The flow of the agent: each look at the metadata service is folded into what is tracked, and what changed is answered.
 *
 *     metadata --observe--> trackInterruption --begun------> Response: wrappers told, node cordoned, event, drain
 *                                             --changed----> Response.change: new deadline, same work
 *                                             --cancelled--> Response.undo: only what we did
 *
 * Runs until the signal aborts; what was done to the node then stays, and the next agent takes it up from the annotation.
 */
export async function runAgent(parts: AgentParts, signal: AbortSignal): Promise<void> {
  const { observe, clock, log, policy } = parts;
  let tracked: Tracked = { interruption: undefined, absences: 0 };
  let response: Response | undefined;
  for await (const observation of observe(signal)) {
    // The node may be seen for the first time long after the start, when the API server comes back.
    const resumed = response === undefined ? interruptionOnNode(parts) : undefined;
    if (resumed !== undefined) {
      log.info(interruptionFields(resumed), 'Interruption resumed');
      tracked = { interruption: resumed, absences: 0 };
      response = new Response(parts, resumed, signal);
    }
    const step = trackInterruption(tracked, observation, policy, clock.now());
    tracked = step.tracked;
    switch (step.change.kind) {
      case 'none':
        break;
      case 'begun':
        log.info(interruptionFields(step.change.interruption), 'Interruption noticed');
        response = new Response(parts, step.change.interruption, signal);
        break;
      case 'changed':
        log.info(interruptionFields(step.change.interruption), 'Interruption changed');
        response?.change(step.change.interruption);
        break;
      case 'cancelled':
        log.info(interruptionFields(step.change.interruption), 'Interruption cancelled');
        await response?.undo(signal);
        response = undefined;
        break;
    }
  }
  await response?.stop();
}

/** What an agent before us, on this node, was in the middle of. */
function interruptionOnNode({ cluster }: AgentParts): Interruption | undefined {
  const node = cluster.node();
  return node === undefined ? undefined : readMark(node)?.interruption;
}
