import { fetch, type Response } from 'undici';
import { errorText } from '../log.ts';
import type { KubeCredentials } from './kube-credentials.ts';

/** A call that brought no answer, or one that its caller has no use for. */
export class KubeError extends Error {
  /** HTTP status; undefined where there was no answer. */
  readonly status: number | undefined;

  constructor(message: string, options: ErrorOptions & { readonly status?: number }) {
    super(message, options);
    this.name = 'KubeError';
    this.status = options.status;
  }
}

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Path and query, from `/api/...`. */
  readonly path: string;
  readonly body?: object;
  readonly contentType?: string;
  readonly timeoutMs?: number;
  readonly signal: AbortSignal;
}

/** The parts of a Kubernetes `Status` that say why a call failed. */
export interface KubeStatus {
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: ReadonlyArray<{ readonly reason?: string; readonly message?: string }> };
}

export interface KubeAnswer {
  readonly status: number;
  /** The parsed body, whatever the status. */
  readonly body: unknown;
  readonly retryAfterMs: number | undefined;
}

const defaultTimeoutMs = 5000;
/** etcd stores no object above 1.5 MiB. */
const maxLineChars = 4_194_304;

/** How one call went: its method, the HTTP status (undefined without an answer), its time in milliseconds. */
export type CallListener = (method: string, status: number | undefined, ms: number) => void;

/**
 * Requests to the API server over one shared dispatcher. The generated API classes of the client library are left out: they open a connection for
 * each request, have no time limits and double the agent's memory.
 */
export class KubeConnection {
  readonly #credentials: KubeCredentials;
  readonly #onCall: CallListener | undefined;

  constructor(credentials: KubeCredentials, onCall?: CallListener) {
    this.#credentials = credentials;
    this.#onCall = onCall;
  }

  /** One call. Throws a {@link KubeError} without an answer in time; any HTTP status is an answer. */
  async request({ timeoutMs = defaultTimeoutMs, signal, ...request }: KubeRequest): Promise<KubeAnswer> {
    const what = `${request.method} ${request.path}`;
    const limit = AbortSignal.timeout(timeoutMs);
    const startMs = performance.now();
    let status: number | undefined;
    try {
      const response = await this.#fetch(request, AbortSignal.any([signal, limit]));
      const text = await readText(response);
      status = response.status;
      return { status: response.status, body: parseBody(text), retryAfterMs: retryAfterMs(response) };
    } catch (error) {
      signal.throwIfAborted();
      const because = limit.aborted ? `no answer within ${timeoutMs} ms` : errorText(error);
      throw new KubeError(`Cannot reach the Kubernetes API: ${what}: ${because}`, { cause: error });
    } finally {
      this.#onCall?.(request.method, status, performance.now() - startMs);
    }
  }

  /**
   * The lines of a watch, as they come, until the server ends it. A connection that dies without a word is noticed by undici's
   * limit on silence (300 s), which is longer than any watch that we ask for.
   */
  async *lines(path: string, connectMs: number, signal: AbortSignal): AsyncGenerator<string, void> {
    const abort = new AbortController();
    const timer = setTimeout(
      () => abort.abort(new KubeError(`Cannot watch ${path}: no answer within ${connectMs} ms`, {})),
      connectMs,
    );
    try {
      const response = await this.#fetch({ method: 'GET', path }, AbortSignal.any([signal, abort.signal]));
      clearTimeout(timer);
      if (response.status !== 200) {
        const text = await readText(response);
        throw new KubeError(describeRefusal(`watch ${path}`, response.status, parseBody(text)), {
          status: response.status,
        });
      }
      const decoder = new TextDecoder();
      let pending = '';
      for await (const chunk of response.body ?? []) {
        const parts = (pending + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n');
        pending = parts.pop() ?? '';
        if (pending.length > maxLineChars) throw new KubeError(`Cannot watch ${path}: a line is too long`, {});
        yield* parts.filter((line) => line !== '');
      }
    } finally {
      clearTimeout(timer);
      abort.abort();
    }
  }

  async close(): Promise<void> {
    await this.#credentials.close();
  }

  async #fetch(request: Omit<KubeRequest, 'timeoutMs' | 'signal'>, signal: AbortSignal): Promise<Response> {
    const { method, path, body, contentType = 'application/json' } = request;
    const { headers, dispatcher } = await this.#credentials.authorize();
    // fetch, not undici's request: only fetch ends on the signal while the TCP connect hangs.
    return fetch(`${this.#credentials.server}${path}`, {
      method,
      headers: { ...headers, accept: 'application/json', ...(body && { 'content-type': contentType }) },
      signal,
      ...(body && { body: JSON.stringify(body) }),
      ...(dispatcher && { dispatcher }),
    });
  }
}

/** `Cannot ACT: 403 Forbidden: MESSAGE`, from the Status that the API server answered. */
export function describeRefusal(act: string, status: number, body: unknown): string {
  const { reason, message } = (Object(body) ?? {}) as KubeStatus;
  return `Cannot ${act}: ${status}${reason ? ` ${reason}` : ''}${message ? `: ${message}` : ''}`;
}

/** A list of 250 pods of a hundred kilobytes each would be 25 MiB. */
const maxBodyChars = 67_108_864;

async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > maxBodyChars) throw new KubeError('the answer is too long', {});
  }
  return text + decoder.decode();
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { message: text.slice(0, 200) };
  }
}

/** The API server sends whole seconds. */
function retryAfterMs(response: Response): number | undefined {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}
