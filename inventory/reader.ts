import type { Clock } from '../shared/clock.ts';
import { exitStatus, FatalError } from '../shared/exit-status.ts';
import { errorText, type Log } from '../shared/log.ts';
import { NewCauses } from '../shared/new-causes.ts';
import { type Backoff, RetryPause } from '../shared/retry.ts';
import type { Change } from './fold/inventory-view.ts';
import type { Intake } from './intake.ts';
import { type EventQueue, type Message, maxMessagesPerRequest } from './queue/queue.ts';

export interface ReaderOptions {
  readonly queue: EventQueue;
  readonly intake: Intake;
  readonly clock: Clock;
  readonly log: Log;
  /** Maximum number of concurrent receive requests; only one is used while the queue is nearly empty. */
  readonly maxPollers: number;
  /** End when the queue is empty. */
  readonly isOnce?: boolean;
  readonly onChanges: (changes: readonly Change[]) => void;
  /** Called for each request, because AWS bills each. */
  readonly onRequest?: (action: 'receive' | 'delete') => void;
  readonly random?: () => number;
}

const backoff: Backoff = { firstMs: 200, maxMs: 10_000 };
/** With `--once` the reader does not wait for a queue that is down. */
const maxFailuresOnce = 3;
const expireEveryMs = 1000;
/** Maximum number of concurrent delete requests; beyond it, receiving waits. */
const maxRemovals = 16;
/** No retries are needed: the queue delivers undeleted messages again. */
const removeMs = 5000;

/**
 * Reads the queue until the signal aborts: receive, fold, store, and only then delete. After a crash between two of
 * these steps messages are delivered again, and a repeated message changes nothing. Throws a FatalError if the queue
 * cannot be read from the start, or if the state cannot be written.
 */
export async function readInventory(options: ReaderOptions, signal: AbortSignal): Promise<void> {
  const { intake, clock, maxPollers, isOnce = false, onChanges } = options;
  const ended = new AbortController();
  const running = AbortSignal.any([signal, ended.signal]);
  const pollers = new Set<Promise<void>>();
  const removals = new Set<Promise<void>>();

  const poll = async (isExtra: boolean): Promise<void> => {
    for (let isFirst = !isExtra; !running.aborted; isFirst = false) {
      const messages = await receive(options, { isFirst, signal: running });
      if (messages.length === maxMessagesPerRequest) startPoller(true);
      if (messages.length === 0 && (isExtra || isOnce)) break;
      if (messages.length === 0) continue;
      const { changes, stored } = intake.take(messages);
      onChanges(changes);
      await stored;
      // In parallel with the next receive: a hanging delete must not delay new messages.
      const removal = remove(options, messages).finally(() => removals.delete(removal));
      removals.add(removal);
      if (removals.size >= maxRemovals) await Promise.race(removals);
    }
  };
  const startPoller = (isExtra: boolean): void => {
    if (pollers.size >= maxPollers) return;
    const poller = poll(isExtra).finally(() => pollers.delete(poller));
    pollers.add(poller);
    poller.catch((error) => ended.abort(error));
  };
  const expireLeases = async (): Promise<void> => {
    while (!running.aborted) {
      onChanges(intake.expire());
      await clock.sleep(expireEveryMs, running).catch(() => {});
    }
  };

  startPoller(false);
  const expiring = expireLeases();
  while (pollers.size > 0) await Promise.allSettled(pollers);
  await Promise.allSettled(removals);
  ended.abort();
  await expiring;
  onChanges(intake.expire());
  if (ended.signal.reason instanceof FatalError) throw ended.signal.reason;
}

/** Never throws for a failure that may pass: it logs each cause of an outage once, and the outage's end. */
async function receive(
  { queue, intake, clock, log, isOnce, onRequest, random }: ReaderOptions,
  { isFirst, signal }: { isFirst: boolean; signal: AbortSignal },
): Promise<readonly Message[]> {
  const causes = new NewCauses();
  const retries = new RetryPause({ backoff, clock, random });
  while (!signal.aborted) {
    try {
      onRequest?.('receive');
      const received = await queue.receive(signal);
      const { failures } = retries;
      if (failures > 0) log.info({ failures }, 'Inventory queue reachable again');
      if (received.messages.length === 0) intake.drained(received.queueNowMs);
      return received.messages;
    } catch (error) {
      if (signal.aborted) break;
      // After a first success the failure may be a temporary mistake, so it is retried.
      if (error instanceof FatalError && isFirst) throw error;
      const failures = retries.failed();
      if (isOnce === true && failures >= maxFailuresOnce)
        throw new FatalError(errorText(error), { status: exitStatus.unavailable, cause: error });
      const err = errorText(error);
      if (causes.isNew(err)) log.warn({ err }, 'Cannot read the inventory queue');
      await retries.wait(signal);
    }
  }
  return [];
}

async function remove({ queue, log, onRequest }: ReaderOptions, messages: readonly Message[]): Promise<void> {
  try {
    onRequest?.('delete');
    // Not the reader's signal: stored messages should be deleted even while the reader is ending.
    const left = await queue.remove(messages, AbortSignal.timeout(removeMs));
    if (left > 0) log.warn({ messages: left }, 'Cannot delete messages, they will be delivered again');
  } catch (error) {
    log.warn(
      { err: errorText(error), messages: messages.length },
      'Cannot delete messages, they will be delivered again',
    );
  }
}
