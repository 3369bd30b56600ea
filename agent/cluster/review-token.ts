import { refusal } from '../../shared/kubernetes/kube-answer.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import { Turns } from '../../shared/turns.ts';
import type { TokenVerdict } from '../link/verify-hello.ts';

/**
 * The audience of the wrappers' projected tokens. A token stolen here is useless elsewhere, and other tokens are
 * useless here.
 */
export const tokenAudience = 'spotable';

const path = '/apis/authentication.k8s.io/v1/tokenreviews';
const attribute = 'authentication.kubernetes.io';
/**
 * Wrappers that all reconnect after a restart must not crowd out the drain's calls. No node has more than 1024
 * wrappers.
 */
const reviewLimits = { max: 4, maxWaiting: 1024 };

interface ReviewStatus {
  readonly authenticated?: boolean;
  readonly audiences?: readonly string[];
  readonly error?: string;
  readonly user?: { readonly username?: string; readonly extra?: Readonly<Record<string, readonly string[]>> };
}

/** Asks the API server which pod a token belongs to. */
export class TokenReviewer {
  readonly #connection: KubeConnection;
  readonly #nodeName: string;
  readonly #turns = new Turns(reviewLimits);

  constructor(connection: KubeConnection, nodeName: string) {
    this.#connection = connection;
    this.#nodeName = nodeName;
  }

  /** Throws a KubeError if the API server does not give a verdict. */
  async review(token: string, signal: AbortSignal): Promise<TokenVerdict> {
    const endTurn = await this.#turns.take(signal);
    try {
      return this.#verdictOn(await this.#ask(token, signal));
    } finally {
      endTurn();
    }
  }

  async #ask(token: string, signal: AbortSignal): Promise<ReviewStatus> {
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [tokenAudience] },
    };
    const answer = await this.#connection.request({ method: 'POST', path, body, signal });
    if (answer.status !== 201 && answer.status !== 200) throw refusal('review a token', answer);
    return Object(Object(answer.body).status) as ReviewStatus;
  }

  #verdictOn({ authenticated, audiences, error, user }: ReviewStatus): TokenVerdict {
    if (authenticated !== true) return { kind: 'refused', reason: error ?? 'its token is not valid' };
    // An API server that does not support audiences omits them and would accept any token.
    if (audiences?.includes(tokenAudience) !== true)
      return { kind: 'refused', reason: 'its token is for another audience' };
    const extra = (name: string) => user?.extra?.[`${attribute}/${name}`]?.[0];
    const namespace = /^system:serviceaccount:([^:]+):[^:]+$/.exec(user?.username ?? '')?.[1];
    const [podUid, podName, node] = [extra('pod-uid'), extra('pod-name'), extra('node-name')];
    if (podUid === undefined || podName === undefined || namespace === undefined)
      return { kind: 'refused', reason: 'its token is not bound to a pod' };
    if (node !== undefined && node !== this.#nodeName)
      return { kind: 'refused', reason: 'its token belongs to a pod of another node' };
    return { kind: 'pod', podUid, podName, namespace };
  }
}
