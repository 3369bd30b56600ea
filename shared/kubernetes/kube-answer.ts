/**
 * Whose trouble a failed call shows. `server`: nobody answered, or somebody who speaks for more than this object: all
 * calls may slow down. `object`: the API server refused this one (a webhook, a policy, a missing right, a conflict),
 * which says nothing about others.
 */
export type Trouble = 'server' | 'object';

export interface KubeErrorOptions extends ErrorOptions {
  readonly status?: number | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly trouble?: Trouble;
}

/** A call that brought no answer, or one that its caller has no use for. */
export class KubeError extends Error {
  /** HTTP status; undefined where there was no answer. */
  readonly status: number | undefined;
  /** When the server wants to be asked again, where it said so. */
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
  /** The parsed body, whatever the status; what is no JSON becomes `{ message }`. */
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
 * Every refusal of an API server is a `Status`; proxies, load balancers and an overloaded API server answer with texts
 * of their own.
 */
export function statusOf({ body }: Pick<KubeAnswer, 'body'>): KubeStatus | undefined {
  const { kind } = Object(body) as { kind?: unknown };
  return kind === 'Status' ? (body as KubeStatus) : undefined;
}

/**
 * Whether the API server itself says that there is no object of that name. A 404 of anything between us and it says
 * nothing.
 */
export function isNotFound(answer: KubeAnswer, name: string): boolean {
  const status = statusOf(answer);
  return answer.status === 404 && status?.reason === 'NotFound' && status.details?.name === name;
}

/**
 * Whether the server, or something before it, has no time for any call of ours now. Priority and fairness, and the
 * limit on calls in flight, refuse by a 429 that is no Status. A Status with 429 is about one object: a budget, or a
 * webhook of somebody else's.
 */
export function isOverloaded(answer: KubeAnswer): boolean {
  if (answer.status === 429) return statusOf(answer) === undefined || statusOf(answer)?.message === reinitializing;
  return answer.status === 503;
}

/** What an API server says while its caches are filled again. */
const reinitializing = 'storage is (re)initializing';

/** `Cannot ACT: 403 Forbidden: MESSAGE`, from the Status that the API server answered. */
export function describeRefusal(act: string, status: number, body: unknown): string {
  const { reason, message } = Object(body) as KubeStatus;
  return `Cannot ${act}: ${status}${reason ? ` ${reason}` : ''}${message ? `: ${message}` : ''}`;
}

export function refusal(act: string, answer: KubeAnswer): KubeError {
  const { status, body, retryAfterMs } = answer;
  return new KubeError(describeRefusal(act, status, body), { status, retryAfterMs, trouble: troubleOf(answer) });
}

/**
 * A webhook that fails is a 500, and concerns what that webhook looks at; other 5xx and everything that is no Status
 * concern all calls.
 */
export function troubleOf(answer: KubeAnswer): Trouble {
  const status = statusOf(answer);
  if (status === undefined) return 'server';
  return answer.status < 500 || /admission webhook|calling webhook/.test(status.message ?? '') ? 'object' : 'server';
}
