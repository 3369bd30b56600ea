import type { Clock } from '../shared/clock.ts';
import type { Log } from '../shared/log.ts';
import { aborted } from '../shared/until-aborted.ts';
import type { Agent } from './agent.ts';

export interface FinishDrainParts {
  readonly agent: Pick<Agent, 'response'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Below the grace of the agent's own pod. */
  readonly maxMs: number;
}

const lookAgainMs = 100;

/**
 * When somebody asks us to end in the midst of a drain, the drain goes on for a while: during a node's shutdown no other agent will come.
 * What is left then stands in the node's annotation, for the next agent to take up.
 */
export async function finishDrain(
  { agent, clock, log, maxMs }: FinishDrainParts,
  asked: AbortSignal,
  stop: AbortController,
): Promise<void> {
  await aborted(AbortSignal.any([asked, stop.signal]));
  const endMs = performance.now() + maxMs;
  if (agent.response?.isBusy === true) log.info({ maxMs }, 'Asked to end: the drain goes on');
  while (agent.response?.isBusy === true && performance.now() < endMs && !stop.signal.aborted)
    await clock.sleep(lookAgainMs, stop.signal).catch(() => {});
  if (agent.response !== undefined) log.info({ isDrained: !agent.response.isBusy }, 'Interruption handed over');
  stop.abort();
}
