import { Agent, type IncomingMessage, request } from 'node:http';
import type { DateListener } from '../checked-clock.ts';
import type { Clock } from '../clock.ts';
import { TimeLimit } from '../time-limit.ts';
import { untilAborted } from '../until-aborted.ts';

/** The link-local address where every EC2 instance finds its metadata service. */
export const ec2MetadataEndpoint = 'http://169.254.169.254';

export type MetadataAnswer =
  | { readonly kind: 'found'; readonly body: string }
  /** 404: the service answers, and there is nothing of that name. Mostly good news. */
  | { readonly kind: 'absent' };

export type MetadataFailure =
  | 'unauthorized'
  | 'forbidden'
  | 'status'
  | 'timeout'
  | 'connection'
  | 'too-long'
  | 'garbage';

/** The metadata service could not be asked, or did not answer as it should. */
export class MetadataError extends Error {
  readonly failure: MetadataFailure;

  constructor(failure: MetadataFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MetadataError';
    this.failure = failure;
  }
}

export interface MetadataClientOptions {
  /** `http:` only, as EC2 has it. */
  readonly endpoint: URL;
  readonly clock: Clock;
  /**
   * One request: from when it gets a connection to the end of its body, a hanging connect included. A token may be asked for before it. For a
   * service that is slower the limit grows up to `maxTimeoutMs`.
   */
  readonly timeoutMs?: number;
  readonly maxTimeoutMs?: number;
  readonly tokenTtlSeconds?: number;
  readonly onDate?: DateListener;
  /** How long a request took, answered or not: milliseconds. */
  readonly onRequest?: (ms: number) => void;
}

interface Token {
  readonly text: string;
  /** Half its life: by then a new one is fetched, so a failed refresh leaves hours to try again. */
  readonly refreshAtMs: number;
  readonly expiresAtMs: number;
}

interface Response {
  readonly status: number;
  readonly body: string;
}

const maxBodyBytes = 65_536;
const maxTokenTtlSeconds = 21_600;
/** After a refresh that failed the old token serves so long before the next try, which may cost a whole time limit. */
const refreshPauseMs = 30_000;
/** The service shares 1024 packets a second with DNS and NTP: no caller needs more than a few answers at once. */
const maxConnections = 4;
const tokenPath = '/latest/api/token';
/** A token goes into a header: what cannot stand there is not kept, or every request would fail until it expires. */
const tokenText = /^[!-~]{1,1024}$/;

/**
 * Reads the EC2 instance metadata service, version 2 only. Uses node:http rather than undici: it costs a wrapper nothing
 * that Node has not loaded, and its requests end on time even while a TCP connect hangs. EC2 ends the connection after every
 * answer, so none is kept: a kept one could only be found dead by the request that matters.
 */
export class MetadataClient {
  readonly #endpoint: URL;
  readonly #clock: Clock;
  readonly #limit: TimeLimit;
  readonly #onDate: DateListener | undefined;
  readonly #onRequest: MetadataClientOptions['onRequest'];
  readonly #tokenTtlSeconds: number;
  readonly #connections = new Agent({ keepAlive: false, maxSockets: maxConnections });
  #token: Token | undefined;
  #tokenRequest: Promise<Token> | undefined;

  constructor(options: MetadataClientOptions) {
    const { endpoint, clock, timeoutMs = 1000, maxTimeoutMs = 5000, tokenTtlSeconds = maxTokenTtlSeconds } = options;
    this.#endpoint = endpoint;
    this.#clock = clock;
    this.#limit = new TimeLimit({ min: timeoutMs, max: maxTimeoutMs });
    this.#onDate = options.onDate;
    this.#onRequest = options.onRequest;
    this.#tokenTtlSeconds = tokenTtlSeconds;
  }

  /** The text at `path` (`/latest/...`). Throws a {@link MetadataError}, or the signal's reason. */
  async get(path: string, signal?: AbortSignal): Promise<MetadataAnswer> {
    const token = await this.#validToken(signal);
    const first = await this.#send('GET', path, tokenHeader(token), signal);
    if (first.status !== 401) return readAnswer(path, first);
    // The service forgets tokens before their time, for example when the instance was stopped and started.
    if (this.#token?.text === token.text) this.#token = undefined;
    return readAnswer(path, await this.#send('GET', path, tokenHeader(await this.#validToken(signal)), signal));
  }

  /** Ends every connection. */
  close(): void {
    this.#connections.destroy();
  }

  async #validToken(signal: AbortSignal | undefined): Promise<Token> {
    signal?.throwIfAborted();
    const known = this.#token;
    if (known !== undefined && this.#clock.now() < known.refreshAtMs) return known;
    // Several paths are read at once and share one token request, so no caller's signal may end it: its time limit does.
    this.#tokenRequest ??= this.#fetchToken().finally(() => {
      this.#tokenRequest = undefined;
    });
    try {
      return await untilAborted(this.#tokenRequest, signal);
    } catch (error) {
      const nowMs = this.#clock.now();
      if (signal?.aborted === true || known === undefined || nowMs >= known.expiresAtMs) throw error;
      this.#token = { ...known, refreshAtMs: nowMs + refreshPauseMs };
      return known;
    }
  }

  async #fetchToken(): Promise<Token> {
    const ttlMs = this.#tokenTtlSeconds * 1000;
    const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': String(this.#tokenTtlSeconds) };
    const { status, body } = await this.#send('PUT', tokenPath, headers);
    if (status !== 200) throw statusError(tokenPath, status);
    const text = body.trim();
    if (!tokenText.test(text)) throw metadataError('garbage', tokenPath, 'the answer is no token');
    const nowMs = this.#clock.now();
    this.#token = { text, refreshAtMs: nowMs + ttlMs / 2, expiresAtMs: nowMs + ttlMs };
    return this.#token;
  }

  async #send(method: string, path: string, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const url = new URL(path, this.#endpoint);
    if (url.protocol !== 'http:') throw metadataError('connection', path, `${url.origin} is no http address`);
    const outgoing = request(url, { method, headers, agent: this.#connections });
    // An agent with a limit would hand this connection on to a request that waits for its turn.
    outgoing.shouldKeepAlive = false;
    const onAbort = () => reject(signal?.reason);
    const limitMs = this.#limit.ms;
    let timer: NodeJS.Timeout | undefined;
    let askedMs = performance.now();
    // Not before: a request that waits for its turn is not the service's fault.
    outgoing.once('socket', (socket) => {
      if (outgoing.destroyed) return;
      askedMs = performance.now();
      timer = setTimeout(() => {
        // A service that cannot be reached gets no more time: new attempts find out sooner that it is back.
        if (!socket.connecting) this.#limit.exceeded(limitMs);
        reject(metadataError('timeout', path, `no answer within ${limitMs} ms`));
      }, limitMs);
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    // Stays for good: what destroy() below makes of a request under way is an error once more.
    outgoing.on('error', (error) => reject(connectionError(path, error)));
    outgoing.once('response', (response) => {
      this.#onDate?.(response.headers.date, askedMs);
      collectBody(path, response).then(resolve, reject);
    });
    outgoing.end();
    try {
      const answer = await promise;
      this.#limit.answered(performance.now() - askedMs);
      return answer;
    } finally {
      this.#onRequest?.(performance.now() - askedMs);
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      outgoing.destroy();
    }
  }
}

function tokenHeader({ text }: Token): Record<string, string> {
  return { 'x-aws-ec2-metadata-token': text };
}

async function collectBody(path: string, response: IncomingMessage): Promise<Response> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBodyBytes) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw connectionError(path, error as Error);
  }
  if (bytes > maxBodyBytes) throw metadataError('too-long', path, `more than ${maxBodyBytes} bytes`);
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') };
}

function readAnswer(path: string, { status, body }: Response): MetadataAnswer {
  if (status === 200) return { kind: 'found', body };
  if (status === 404) return { kind: 'absent' };
  throw statusError(path, status);
}

function statusError(path: string, status: number): MetadataError {
  const failure = status === 401 ? 'unauthorized' : status === 403 ? 'forbidden' : 'status';
  return metadataError(failure, path, `HTTP ${status}`);
}

/** Node's HTTP parser names what it cannot read by codes that begin with HPE_. */
function connectionError(path: string, error: NodeJS.ErrnoException): MetadataError {
  const failure = error.code?.startsWith('HPE_') === true ? 'garbage' : 'connection';
  return metadataError(failure, path, error.message, error);
}

function metadataError(failure: MetadataFailure, path: string, because: string, cause?: unknown): MetadataError {
  return new MetadataError(failure, `Cannot read instance metadata ${path}: ${because}`, { cause });
}
