import type { Clock } from '../../shared/clock.ts';
import { describeRefusal, KubeError } from '../../shared/kubernetes/kube-answer.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { NewCauses } from '../../shared/new-causes.ts';
import { type Backoff, RetryPause } from '../../shared/retry.ts';

export interface Right {
  readonly verb: string;
  readonly group?: string;
  readonly resource: string;
  readonly subresource?: string;
  /** Without it the agent still does its main work. */
  readonly isOptional?: true;
}

/** Every right that the agent uses. */
export const neededRights: readonly Right[] = [
  { verb: 'get', resource: 'nodes' },
  { verb: 'list', resource: 'nodes' },
  { verb: 'watch', resource: 'nodes' },
  { verb: 'patch', resource: 'nodes' },
  { verb: 'list', resource: 'pods' },
  { verb: 'watch', resource: 'pods' },
  // Without it, budgets hold to the very end, which an operator may want.
  { verb: 'delete', resource: 'pods', isOptional: true },
  { verb: 'create', resource: 'pods', subresource: 'eviction' },
  { verb: 'patch', resource: 'pods', subresource: 'status', isOptional: true },
  { verb: 'create', resource: 'events', isOptional: true },
  { verb: 'create', group: 'authentication.k8s.io', resource: 'tokenreviews', isOptional: true },
];

/** Listed in `missingOptional` if pods may not be deleted. */
export const deletionRight = 'delete pods';

export interface RightsReview {
  /** Whether the API server has responded for every right. */
  readonly isComplete: boolean;
  readonly missing: readonly string[];
  readonly missingOptional: readonly string[];
}

export const notReviewed: RightsReview = { isComplete: false, missing: [], missingOptional: [] };

const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
const afterFailure: Backoff = { firstMs: 500, maxMs: 15_000 };
/**
 * A repaired role should take effect without restarting the agents. Also the minimum time between a review and the next
 * one after a doubt.
 */
const whileMissingMs = 15_000;
/** Rights seldom change. Ten small calls per node every ten minutes are no load for an API server. */
const whileCompleteMs = 600_000;

export interface ReviewRightsOptions {
  readonly connection: KubeConnection;
  readonly clock: Clock;
  readonly log: Log;
  /** While true, no review is made, because more urgent calls go first. */
  readonly mustWait: () => boolean;
  readonly random?: () => number;
}

/** Reviews our rights repeatedly, because a missing right otherwise shows only when it is too late. */
export class RightsReviewer {
  readonly #options: ReviewRightsOptions;
  #review: RightsReview = notReviewed;
  #doubted = new AbortController();

  constructor(options: ReviewRightsOptions) {
    this.#options = options;
  }

  get latest(): RightsReview {
    return this.#review;
  }

  /**
   * A call was refused (403) or had no response: review the rights again, even during a drain. If no other call is due,
   * only a review notices that the API server is back.
   */
  doubt(): void {
    this.#doubted.abort();
  }

  /** Runs until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, mustWait, random } = this.#options;
    const causes = new NewCauses();
    const retries = new RetryPause({ backoff: afterFailure, clock, random });
    while (!signal.aborted) {
      let pauseMs = whileCompleteMs;
      try {
        const isDoubted = this.#doubted.signal.aborted;
        // A later refusal is a new doubt.
        if (isDoubted) this.#doubted = new AbortController();
        if (isDoubted || !mustWait()) this.#note(await this.#reviewAll(signal));
        retries.progressed();
        causes.clear();
        const { isComplete, missing } = this.#review;
        if (!isComplete || missing.length > 0) pauseMs = whileMissingMs;
      } catch (error) {
        if (signal.aborted) return;
        retries.failed();
        const err = errorText(error);
        if (causes.isNew(err)) log.warn({ err }, 'Cannot review own rights');
        pauseMs = retries.nextMs();
      }
      await clock.sleep(Math.min(pauseMs, whileMissingMs), signal).catch(() => {});
      if (pauseMs > whileMissingMs) await this.#pause(pauseMs - whileMissingMs, signal);
    }
  }

  /** Ends early after a doubt. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await this.#options.clock.sleep(ms, AbortSignal.any([signal, this.#doubted.signal])).catch(() => {});
  }

  #note(review: RightsReview): void {
    const before = this.#review;
    this.#review = review;
    const { missing, missingOptional } = review;
    const isNews = before.missing.join() !== missing.join() || before.missingOptional.join() !== missingOptional.join();
    if (!isNews) return;
    if (missing.length + missingOptional.length === 0) this.#options.log.info({}, 'Kubernetes rights complete');
    else this.#options.log.error({ missing, missingOptional }, 'Kubernetes rights missing');
  }

  async #reviewAll(signal: AbortSignal): Promise<RightsReview> {
    const missing: string[] = [];
    const missingOptional: string[] = [];
    for (const right of neededRights) {
      if (await this.#isGranted(right, signal)) continue;
      (right.isOptional === true ? missingOptional : missing).push(rightName(right));
    }
    return { isComplete: true, missing, missingOptional };
  }

  async #isGranted({ verb, group = '', resource, subresource }: Right, signal: AbortSignal): Promise<boolean> {
    const resourceAttributes = { verb, group, resource, ...(subresource !== undefined && { subresource }) };
    const body = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes },
    };
    const { status, body: answer } = await this.#options.connection.request({ method: 'POST', path, body, signal });
    const { allowed } = Object(Object(answer).status) as { allowed?: unknown };
    if ((status !== 201 && status !== 200) || typeof allowed !== 'boolean')
      throw new KubeError(describeRefusal('review own rights', status, answer), { status });
    return allowed;
  }
}

/** A right's name in the style of RBAC rules: `create pods/eviction`, `create tokenreviews.authentication.k8s.io`. */
export function rightName({ verb, group, resource, subresource }: Right): string {
  return `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}${group === undefined ? '' : `.${group}`}`;
}
