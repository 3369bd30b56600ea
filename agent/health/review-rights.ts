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
  /** Without it the agent does its main work all the same. */
  readonly isOptional?: true;
}

/** Everything that the agent asks of the Kubernetes API. */
export const neededRights: readonly Right[] = [
  { verb: 'get', resource: 'nodes' },
  { verb: 'list', resource: 'nodes' },
  { verb: 'watch', resource: 'nodes' },
  { verb: 'patch', resource: 'nodes' },
  { verb: 'list', resource: 'pods' },
  { verb: 'watch', resource: 'pods' },
  // Who forbids it wants budgets to hold to the end.
  { verb: 'delete', resource: 'pods', isOptional: true },
  { verb: 'create', resource: 'pods', subresource: 'eviction' },
  { verb: 'patch', resource: 'pods', subresource: 'status', isOptional: true },
  { verb: 'create', resource: 'events', isOptional: true },
  { verb: 'create', group: 'authentication.k8s.io', resource: 'tokenreviews', isOptional: true },
];

/** Among `missingOptional` where pods may not be deleted. */
export const deletionRight = 'delete pods';

export interface RightsReview {
  /** Whether the API server has answered for every right. */
  readonly isComplete: boolean;
  readonly missing: readonly string[];
  readonly missingOptional: readonly string[];
}

export const notReviewed: RightsReview = { isComplete: false, missing: [], missingOptional: [] };

const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
const afterFailure: Backoff = { firstMs: 500, maxMs: 15_000 };
/**
 * Somebody who repairs the role should not have to restart the agents. A doubt is looked into no sooner after the last
 * review.
 */
const whileMissingMs = 15_000;
/** Rights seldom change; ten small calls a node every ten minutes do not show on an API server. */
const whileCompleteMs = 600_000;

export interface ReviewRightsOptions {
  readonly connection: KubeConnection;
  readonly clock: Clock;
  readonly log: Log;
  /** While this says yes, no review is made: the calls are needed for what cannot wait. */
  readonly mustWait: () => boolean;
  readonly random?: () => number;
}

/** Keeps asking what we may do, because a missing right shows itself only when it is too late. */
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
   * A call was refused (403), or had no answer: what we may do is to be asked anew, also in the midst of a drain.
   * Nothing but a review would notice that the API server is back where no other call is due.
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
        // Whatever is refused from now on is a doubt of its own.
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

  /** Ends early at a doubt. */
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

/** `create pods/eviction`, `create tokenreviews.authentication.k8s.io`: as RBAC rules are read aloud. */
export function rightName({ verb, group, resource, subresource }: Right): string {
  return `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}${group === undefined ? '' : `.${group}`}`;
}
