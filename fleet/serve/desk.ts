import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import { Turns } from '../../shared/turns.ts';
import type { AllocationRequest } from '../allocation/allocation-request.ts';
import type { AllocationOutcome, Allocator } from '../allocation/allocator.ts';

export interface DeskOptions {
  readonly allocator: Pick<Allocator, 'allocate'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Time limit from the request to its answer, waiting included. */
  readonly maxMs: number;
  readonly onOutcome: (outcome: AllocationOutcome['kind'], ms: number) => void;
}

/**
 * Below the number of concurrent calls on a connection. Requests beyond `maxWaiting` are refused at once as too many.
 */
const limits = { max: 24, maxWaiting: 2048 };

/**
 * Accepts requests from every interface: limits how many run at once, gives each a time limit, and writes an audit
 * line.
 */
export class Desk {
  readonly #options: DeskOptions;
  readonly #turns = new Turns(limits);
  #waiting = 0;

  constructor(options: DeskOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** `client`: the caller, for the audit. */
  async allocate(request: AllocationRequest, client: string): Promise<AllocationOutcome> {
    const startMs = performance.now();
    const outcome = await this.#inTurn(request);
    const ms = performance.now() - startMs;
    this.#options.onOutcome(outcome.kind, ms);
    this.#audit(request, outcome, client, ms);
    return outcome;
  }

  async #inTurn(request: AllocationRequest): Promise<AllocationOutcome> {
    const { allocator, maxMs } = this.#options;
    if (this.#waiting >= limits.maxWaiting) return { kind: 'contention' };
    const limit = AbortSignal.timeout(maxMs);
    this.#waiting++;
    const endTurn = await this.#turns
      .take(limit)
      .catch(() => undefined)
      .finally(() => this.#waiting--);
    if (endTurn === undefined) return { kind: 'unavailable', reason: `no turn within ${maxMs} ms` };
    try {
      return await allocator.allocate(request, limit);
    } finally {
      endTurn();
    }
  }

  #audit(request: AllocationRequest, outcome: AllocationOutcome, client: string, ms: number): void {
    const { log } = this.#options;
    const asked = { client, namespace: request.namespace, ms: Math.round(ms) };
    if (outcome.kind === 'allocated') {
      const { pod, sessionId, selector } = outcome;
      const given = { session: sessionId, pod: pod.name, podUid: pod.uid, node: pod.nodeName };
      log.info({ ...asked, ...given, selector, isRepeat: selector === undefined }, 'Game server allocated');
    } else {
      const reason = outcome.kind === 'unavailable' ? outcome.reason : undefined;
      log.info({ ...asked, session: request.sessionId, outcome: outcome.kind, reason }, 'No game server allocated');
    }
  }
}
