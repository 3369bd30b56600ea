import { Agent, type IncomingMessage, request } from 'node:http';
import type { DateListener } from '../checked-clock.ts';
import type { Clock } from '../clock.ts';
import { TimeLimit } from '../time-limit.ts';
import { untilAborted } from '../until-aborted.ts';

/** EC2's link-local address of the metadata service. */
export const ec2MetadataEndpoint = 'http://169.254.169.254';

export type MetadataAnswer =
  | { readonly kind: 'found'; readonly body: string }
  /** 404: the service works and has no such item. For a notice that is good news. */
  | { readonly kind: 'absent' };

export type MetadataFailure =
  | 'unauthorized'
  | 'forbidden'
  | 'status'
  | 'timeout'
  | 'connection'
  | 'too-long'
  | 'garbage';

/** The metadata service was unreachable or gave an invalid response. */
export class MetadataError extends Error {
  readonly failure: MetadataFailure;

  constructor(failure: MetadataFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MetadataError';
    this.failure = failure;
  }
}

export interface MetadataClientOptions {
  /** `http:` only, as on EC2. */
  readonly endpoint: URL;
  readonly clock: Clock;
  /**
   * Time limit of one request, from getting a connection to the end of its body. A token request may precede it. For a
   * slower service the limit grows up to `maxTimeoutMs`.
   */
  readonly timeoutMs?: number;
  readonly maxTimeoutMs?: number;
  readonly tokenTtlSeconds?: number;
  readonly onDate?: DateListener;
  /** Duration of a request, whether or not it succeeded, milliseconds. */
  readonly onRequest?: (ms: number) => void;
}

interface Token {
  readonly text: string;
  /** At half of its life a new token is fetched, so a failed refresh leaves hours to retry. */
  readonly refreshAtMs: number;
  readonly expiresAtMs: number;
}

interface Response {
  readonly status: number;
  readonly body: string;
}

const maxBodyBytes = 65_536;
const maxTokenTtlSeconds = 21_600;
/** Pause after a failed refresh, during which the old token serves: another try may cost a whole time limit. */
const refreshPauseMs = 30_000;
/** The service shares 1024 packets a second with DNS and NTP, and no caller needs more responses at once. */
const maxConnections = 4;
const tokenPath = '/latest/api/token';
/** A token becomes a header. An invalid one is discarded, or every request would fail until it expires. */
const tokenText = /^[!-~]{1,1024}$/;

/**
 * Reads the EC2 instance metadata service, version 2 only. It uses node:http rather than undici: that costs a wrapper
 * nothing that Node has not loaded, and its requests time out even while a TCP connect hangs. EC2 closes the connection
 * after every response, so none is kept: the request that matters would find it dead.
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
    // The service forgets tokens early, for example after a stop and start of the instance.
    if (this.#token?.text === token.text) this.#token = undefined;
    return readAnswer(path, await this.#send('GET', path, tokenHeader(await this.#validToken(signal)), signal));
  }

  /** Closes every connection. */
  close(): void {
    this.#connections.destroy();
  }

  async #validToken(signal: AbortSignal | undefined): Promise<Token> {
    signal?.throwIfAborted();
    const known = this.#token;
    if (known !== undefined && this.#clock.now() < known.refreshAtMs) return known;
    // Concurrent reads share one token request, so no caller's signal may end it; its time limit does.
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
    if (!tokenText.test(text)) throw metadataError('garbage', tokenPath, 'the response is not a token');
    const nowMs = this.#clock.now();
    this.#token = { text, refreshAtMs: nowMs + ttlMs / 2, expiresAtMs: nowMs + ttlMs };
    return this.#token;
  }

  async #send(method: string, path: string, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const url = new URL(path, this.#endpoint);
    if (url.protocol !== 'http:') throw metadataError('connection', path, `${url.origin} is not an http address`);
    const outgoing = request(url, { method, headers, agent: this.#connections });
    // An agent with a limit would pass this connection on to a waiting request.
    outgoing.shouldKeepAlive = false;
    const onAbort = () => reject(signal?.reason);
    const limitMs = this.#limit.ms;
    let timer: NodeJS.Timeout | undefined;
    let askedMs = performance.now();
    // Not earlier: waiting for a connection of our own is not the service's fault.
    outgoing.once('socket', (socket) => {
      if (outgoing.destroyed) return;
      askedMs = performance.now();
      timer = setTimeout(() => {
        // An unreachable service gets no more time, so that new attempts notice its return sooner.
        if (!socket.connecting) this.#limit.exceeded(limitMs);
        reject(metadataError('timeout', path, `no response within ${limitMs} ms`));
      }, limitMs);
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    // Never removed: destroy() below emits another error for a request in flight.
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

/** Node's HTTP parser reports unreadable responses by codes that begin with HPE_. */
function connectionError(path: string, error: NodeJS.ErrnoException): MetadataError {
  const failure = error.code?.startsWith('HPE_') === true ? 'garbage' : 'connection';
  return metadataError(failure, path, error.message, error);
}

function metadataError(failure: MetadataFailure, path: string, because: string, cause?: unknown): MetadataError {
  return new MetadataError(failure, `Cannot read instance metadata ${path}: ${because}`, { cause });
}
