import { type IncomingMessage, Agent as KeepAliveAgent, request } from 'node:http';
import type { Clock } from '../clock.ts';

/** The link-local address where every EC2 instance finds its metadata service. */
export const ec2MetadataEndpoint = 'http://169.254.169.254';

export type MetadataAnswer =
  | { readonly kind: 'found'; readonly body: string }
  /** 404: the service answers, and there is nothing of that name. Mostly good news. */
  | { readonly kind: 'absent' };

export type MetadataFailure = 'unauthorized' | 'forbidden' | 'status' | 'timeout' | 'connection' | 'too-long';

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
  readonly endpoint: URL;
  readonly clock: Clock;
  /** From the start of a request to the end of its body, a hanging connect included. */
  readonly timeoutMs?: number;
  readonly tokenTtlSeconds?: number;
}

interface Token {
  readonly text: string;
  /** Half its life: by then a new one is fetched, so a failed refresh leaves hours to try again. */
  readonly refreshAtMs: number;
}

interface Response {
  readonly status: number;
  readonly body: string;
}

const longestBodyBytes = 65_536;
const longestTokenTtlSeconds = 21_600;

/**
 * Reads the EC2 instance metadata service, version 2 only. Uses node:http rather than undici: it costs a wrapper nothing
 * that Node has not loaded, and its requests end on time even while a TCP connect hangs.
 */
export class MetadataClient {
  readonly #endpoint: URL;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #tokenTtlSeconds: number;
  readonly #agent = new KeepAliveAgent({ keepAlive: true, maxSockets: 4, timeout: 30_000 });
  #token: Token | undefined;
  #tokenRequest: Promise<Token> | undefined;

  constructor({ endpoint, clock, timeoutMs = 1000, tokenTtlSeconds = longestTokenTtlSeconds }: MetadataClientOptions) {
    this.#endpoint = endpoint;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#tokenTtlSeconds = tokenTtlSeconds;
  }

  /** The text at `path` (`/latest/...`). Throws a {@link MetadataError}, or the signal's reason. */
  async get(path: string, signal?: AbortSignal): Promise<MetadataAnswer> {
    const first = await this.#getWithToken(path, await this.#validToken(), signal);
    if (first.status !== 401) return readAnswer(path, first);
    // The service forgets tokens before their time, for example when the instance was stopped and started.
    this.#token = undefined;
    return readAnswer(path, await this.#getWithToken(path, await this.#validToken(), signal));
  }

  /** Closes idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  #getWithToken(path: string, token: Token, signal: AbortSignal | undefined): Promise<Response> {
    return this.#send('GET', path, { 'x-aws-ec2-metadata-token': token.text }, signal);
  }

  async #validToken(): Promise<Token> {
    if (this.#token !== undefined && this.#clock.now() < this.#token.refreshAtMs) return this.#token;
    // Several paths are read at once and share one token request, so no caller's signal may end it: its time limit does.
    this.#tokenRequest ??= this.#fetchToken().finally(() => {
      this.#tokenRequest = undefined;
    });
    return this.#tokenRequest;
  }

  async #fetchToken(): Promise<Token> {
    const path = '/latest/api/token';
    const ttl = { 'x-aws-ec2-metadata-token-ttl-seconds': String(this.#tokenTtlSeconds) };
    const { status, body } = await this.#send('PUT', path, ttl);
    if (status !== 200) throw statusError(path, status);
    this.#token = { text: body.trim(), refreshAtMs: this.#clock.now() + (this.#tokenTtlSeconds * 1000) / 2 };
    return this.#token;
  }

  #send(method: string, path: string, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const outgoing = request(new URL(path, this.#endpoint), { method, headers, agent: this.#agent });
    const fail = (failure: MetadataFailure, because: string, cause?: unknown) => {
      outgoing.destroy();
      reject(new MetadataError(failure, `Cannot read instance metadata ${path}: ${because}`, { cause }));
    };
    const timer = setTimeout(() => fail('timeout', `no answer within ${this.#timeoutMs} ms`), this.#timeoutMs);
    const onAbort = () => {
      outgoing.destroy();
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    outgoing.once('error', (error) => fail('connection', error.message, error));
    outgoing.once('response', (response) => {
      collectBody(response).then(resolve, (error: Error) =>
        fail(error instanceof RangeError ? 'too-long' : 'connection', error.message, error),
      );
    });
    outgoing.end();
    return promise.finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    });
  }
}

async function collectBody(response: IncomingMessage): Promise<Response> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > longestBodyBytes) throw new RangeError(`body is longer than ${longestBodyBytes} bytes`);
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') };
}

function readAnswer(path: string, { status, body }: Response): MetadataAnswer {
  if (status === 200) return { kind: 'found', body };
  if (status === 404) return { kind: 'absent' };
  throw statusError(path, status);
}

function statusError(path: string, status: number): MetadataError {
  const failure = status === 401 ? 'unauthorized' : status === 403 ? 'forbidden' : 'status';
  return new MetadataError(failure, `Cannot read instance metadata ${path}: HTTP ${status}`);
}
