/**
 * What a failed call says about other calls. `server`: there was no response, or the failure is not about this object,
 * so every call may slow down. `object`: the API server refused this call (a webhook, a policy, a missing right, a
 * conflict), which says nothing about other calls.
 */
export type Trouble = 'server' | 'object';

export interface KubeErrorOptions extends ErrorOptions {
  readonly status?: number | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly trouble?: Trouble;
}

/** A call failed: it had no response, or one that the caller cannot use. */
export class KubeError extends Error {
  /** HTTP status; undefined: there was no response. */
  readonly status: number | undefined;
  /** The pause that the server asked for, if any. */
  readonly retryAfterMs: number | undefined;
  readonly trouble: Trouble;

  constructor(message: string, { status, retryAfterMs, trouble = 'server', ...options }: KubeErrorOptions = {}) {
    super(message, options);
    this.name = 'KubeError';
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.trouble = trouble;
  }
}

export interface KubeAnswer {
  readonly status: number;
  /** The parsed body, whatever the status. A body that is not JSON becomes `{ message }`. */
  readonly body: unknown;
  readonly isJson: boolean;
  readonly retryAfterMs: number | undefined;
}

/** The parts of a Kubernetes `Status` that say why a call failed. */
export interface KubeStatus {
  readonly reason?: string;
  readonly message?: string;
  readonly code?: number;
  readonly details?: {
    readonly name?: string;
    readonly kind?: string;
    readonly causes?: ReadonlyArray<{ readonly reason?: string; readonly message?: string }>;
  };
}

/**
 * The API server reports every refusal as a `Status`. Proxies, load balancers and an overloaded API server respond with
 * text of their own.
 */
export function statusOf({ body }: Pick<KubeAnswer, 'body'>): KubeStatus | undefined {
  const { kind } = Object(body) as { kind?: unknown };
  return kind === 'Status' ? (body as KubeStatus) : undefined;
}

/**
 * Whether the API server itself says that no object has this name. A 404 from a proxy or load balancer in front of it
 * does not count.
 */
export function isNotFound(answer: KubeAnswer, name: string): boolean {
  const status = statusOf(answer);
  return answer.status === 404 && status?.reason === 'NotFound' && status.details?.name === name;
}

/**
 * Whether the server, or a proxy in front of it, is too busy for any of our calls. Priority and fairness, and the limit
 * on requests in flight, refuse with a 429 that is not a Status. A Status with 429 concerns one object: it comes from a
 * budget or from a third party's webhook.
 */
export function isOverloaded(answer: KubeAnswer): boolean {
  if (answer.status === 429) return statusOf(answer) === undefined || statusOf(answer)?.message === reinitializing;
  return answer.status === 503;
}

/** The API server says this while it refills its caches. */
const reinitializing = 'storage is (re)initializing';

/** `Cannot ACT: 403 Forbidden: MESSAGE`, from the API server's Status. */
export function describeRefusal(act: string, status: number, body: unknown): string {
  const { reason, message } = Object(body) as KubeStatus;
  return `Cannot ${act}: ${status}${reason ? ` ${reason}` : ''}${message ? `: ${message}` : ''}`;
}

export function refusal(act: string, answer: KubeAnswer): KubeError {
  const { status, body, retryAfterMs } = answer;
  return new KubeError(describeRefusal(act, status, body), { status, retryAfterMs, trouble: troubleOf(answer) });
}

/**
 * A failing webhook is a 500 and concerns only the objects that it watches. Other 5xx, and every response that is not a
 * Status, concern all calls.
 */
export function troubleOf(answer: KubeAnswer): Trouble {
  const status = statusOf(answer);
  if (status === undefined) return 'server';
  return answer.status < 500 || /admission webhook|calling webhook/.test(status.message ?? '') ? 'object' : 'server';
}
