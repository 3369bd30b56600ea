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
  /** Whether a report or an event is still to leave. */
  readonly isReporting: () => boolean;
}

/** What has been said so far gets this long to leave, after the drain. */
const maxReportMs = 2000;

const lookAgainMs = 100;

/**
 * When somebody asks us to end in the midst of a drain, the drain goes on for a while: during a node's shutdown no
 * other agent will come. What is left then stands in the node's annotation, for the next agent to take up.
 */
export async function finishDrain(
  { agent, clock, log, maxMs, isReporting }: FinishDrainParts,
  asked: AbortSignal,
  stop: AbortController,
): Promise<void> {
  await aborted(AbortSignal.any([asked, stop.signal]));
  if (agent.response?.isBusy === true) log.info({ maxMs }, 'Asked to end: the drain goes on');
  const whileTrue = async (condition: () => boolean, forMs: number) => {
    const endMs = performance.now() + forMs;
    while (condition() && performance.now() < endMs && !stop.signal.aborted)
      await clock.sleep(lookAgainMs, stop.signal).catch(() => {});
  };
  await whileTrue(() => agent.response?.isBusy === true, maxMs);
  await whileTrue(isReporting, maxReportMs);
  if (agent.response !== undefined) log.info({ isDrained: !agent.response.isBusy }, 'Interruption handed over');
  stop.abort();
}
