import type { Clock } from '../shared/clock.ts';
import type { Log } from '../shared/log.ts';
import { aborted } from '../shared/until-aborted.ts';
import type { Agent } from './agent.ts';

export interface FinishDrainParts {
  readonly agent: Pick<Agent, 'response'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Below the grace period of the agent's own pod. */
  readonly maxMs: number;
  /** Whether a report or an event is still to be sent. */
  readonly isReporting: () => boolean;
}

/** Maximum time after the drain for sending reports and events. */
const maxReportMs = 2000;

const lookAgainMs = 100;

/**
 * After SIGTERM during a drain, the drain continues for a while: during a node's shutdown no other agent will come. The
 * node's annotation hands the rest over to the next agent.
 */
export async function finishDrain(
  { agent, clock, log, maxMs, isReporting }: FinishDrainParts,
  asked: AbortSignal,
  stop: AbortController,
): Promise<void> {
  await aborted(AbortSignal.any([asked, stop.signal]));
  if (agent.response?.isBusy === true) log.info({ maxMs }, 'Shutdown requested: drain continues');
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
