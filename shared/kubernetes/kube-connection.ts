import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { DateListener } from '../checked-clock.ts';
import { dropIdle, keptConnections, type TlsIdentity } from '../http/connections.ts';
import { readLines, readText } from '../http/read-body.ts';
import { sendRequest } from '../http/send-request.ts';
import { errorText } from '../log.ts';
import { TimeLimit } from '../time-limit.ts';
import { Turns } from '../turns.ts';
import { describeRefusal, type KubeAnswer, KubeError } from './kube-answer.ts';
import type { Authorization, KubeCredentials } from './kube-credentials.ts';

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query, from `/api/...`. */
  readonly path: string;
  readonly body?: object;
  readonly contentType?: string;
  /** Replaces the adaptive time limit. */
  readonly timeoutMs?: number;
  /**
   * Whether the call may be sent twice: the second one does no harm and gets the same response, even if the server
   * carried out the first without responding. Reads are always repeatable.
   */
  readonly isRepeatable?: boolean;
  readonly signal: AbortSignal;
}

export interface ConnectionListeners {
  /** Called after each call with its method, HTTP status (undefined: no response) and duration in milliseconds. */
  readonly onCall?: (method: string, status: number | undefined, ms: number) => void;
  /** Takes the `Date` header of responses. */
  readonly onDate?: DateListener;
}

/** A list of 250 pods of a hundred kilobytes each is 25 MiB. */
const maxBodyBytes = 67_108_864;
/** etcd stores no object above 1.5 MiB. */
const maxLineBytes = 4_194_304;
/** Enough for a drain (16 calls) and everything beside it. More waiting calls would be outdated before their turn. */
const callLimits = { max: 32, maxWaiting: 256 };
/** Webhooks may take 10 s by default and 30 s at most. An API server ends a call after 60 s. */
const answerRange = { min: 5000, max: 30_000 };
/** The kernel resends a SYN after 1 s and 3 s. A new attempt of our own is sooner. */
const connectRange = { min: 2000, max: 10_000 };
/**
 * Time limit for a response on a kept connection. After it, a repeatable call is sent again on a new connection,
 * because all kept connections may be dead: NAT forgot them, or one of several API servers is gone.
 */
const keptRange = { min: 500, max: 30_000 };
const watchBeginMs = 5000;
/** An API server sends a bookmark every minute to each watch that asks for bookmarks. */
const watchSilenceMs = 75_000;

/** The node:tls errors for a certificate of an unknown authority, or a handshake that the server broke off. */
const tlsTrouble = /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_|ERR_SSL_)/;

/**
 * HTTP/1.1 calls to the API server, over connections that are kept for a few seconds. Abandoning a call closes its
 * connection, so a dead connection costs one call, and no abandoned request is sent later. The client library's
 * generated API classes are not used: they open a connection per request, have no time limits and double the agent's
 * memory.
 */
export class KubeConnection {
  readonly #credentials: KubeCredentials;
  readonly #listeners: ConnectionListeners;
  readonly #calls = new Turns(callLimits);
  readonly #limits = {
    read: new TimeLimit(answerRange),
    write: new TimeLimit(answerRange),
    connect: new TimeLimit(connectRange),
    kept: new TimeLimit(keptRange),
  };
  #kept: { readonly tls: TlsIdentity; readonly agent: Agent } | undefined;
  #lastSignOfLifeMs = 0;

  constructor(credentials: KubeCredentials, listeners: ConnectionListeners = {}) {
    this.#credentials = credentials;
    this.#listeners = listeners;
  }

  /** One call. Throws a {@link KubeError} if no response comes in time. Any HTTP status is a response. */
  async request(request: KubeRequest): Promise<KubeAnswer> {
    const { method, path, signal } = request;
    const limit = this.#limits[method === 'GET' ? 'read' : 'write'];
    const timeoutMs = request.timeoutMs ?? limit.ms;
    const startMs = performance.now();
    let status: number | undefined;
    using until = new Until(signal, timeoutMs);
    try {
      const endTurn = await this.#calls.take(until.signal);
      try {
        const answer = await this.#answer(request, until.signal);
        status = answer.status;
        limit.answered(performance.now() - startMs);
        return answer;
      } finally {
        endTurn();
      }
    } catch (error) {
      signal.throwIfAborted();
      if (until.isOver) this.#noteExpiry(limit, timeoutMs, startMs);
      const because = until.isOver ? `no response within ${timeoutMs} ms` : errorText(error);
      throw new KubeError(`Cannot reach the Kubernetes API: ${method} ${path}: ${because}`, { cause: error });
    } finally {
      this.#listeners.onCall?.(method, status, performance.now() - startMs);
    }
  }

  /**
   * Yields the lines of a watch until the server ends it. Throws a {@link KubeError} if no data comes for longer than
   * the interval of bookmarks: a watch whose connection died silently looks like a cluster without changes.
   */
  async *lines(path: string, signal: AbortSignal): AsyncGenerator<string, void> {
    using until = new Until(signal, watchBeginMs);
    // Without the query, which differs between watches.
    const act = `watch ${path.split('?', 1)[0]}`;
    try {
      const response = await this.#send({ method: 'GET', path }, until.signal);
      until.extend(watchSilenceMs);
      const status = response.statusCode ?? 0;
      if (status !== 200) {
        const { body } = parseBody(await readText(this.#listen(response), maxBodyBytes));
        throw new KubeError(describeRefusal(act, status, body), { status });
      }
      yield* readLines(
        this.#listen(response, () => until.extend(watchSilenceMs)),
        maxLineBytes,
      );
    } catch (error) {
      signal.throwIfAborted();
      if (needsReload(error)) await this.#credentials.reload();
      if (error instanceof KubeError) throw error;
      const because = until.isOver ? `no data for ${until.ms} ms` : errorText(error);
      throw new KubeError(`Cannot ${act}: ${because}`, { cause: error });
    } finally {
      until.end();
    }
  }

  /** Ends all connections. */
  close(): void {
    this.#kept?.agent.destroy();
    this.#kept = undefined;
  }

  /**
   * If the server rejects our credentials or shows an unknown certificate, reload the files and try once more if they
   * changed.
   */
  async #answer(request: KubeRequest, signal: AbortSignal): Promise<KubeAnswer> {
    try {
      const answer = await this.#ask(request, signal);
      if (answer.status !== 401 || !(await this.#credentials.reload())) return answer;
    } catch (error) {
      if (signal.aborted || !needsReload(error) || !(await this.#credentials.reload())) throw error;
    }
    return this.#ask(request, signal);
  }

  async #ask(request: KubeRequest, signal: AbortSignal): Promise<KubeAnswer> {
    const response = await this.#send(request, signal);
    return {
      status: response.statusCode ?? 0,
      ...parseBody(await readText(this.#listen(response), maxBodyBytes)),
      retryAfterMs: retryAfterMs(response.headers['retry-after']),
    };
  }

  async #send(request: Omit<KubeRequest, 'signal' | 'timeoutMs'>, signal: AbortSignal): Promise<IncomingMessage> {
    const { method, path, contentType = 'application/json', isRepeatable = method === 'GET' } = request;
    const authorization = await this.#credentials.authorize();
    const url = new URL(`${this.#credentials.server}${path}`);
    const body = request.body && JSON.stringify(request.body);
    const type = body && { 'content-type': contentType };
    const headers = { ...authorization.headers, accept: 'application/json', ...type };
    const agent = this.#agentFor(url.protocol, authorization);
    const askedMs = performance.now();
    let isKept = false;
    const onRequest = (outgoing: ClientRequest, giveUp: (reason: Error) => void) =>
      outgoing.once('socket', (socket) => {
        isKept = outgoing.reusedSocket;
        if (isKept && isRepeatable) this.#limitKept(outgoing, giveUp);
        else if (!isKept) this.#limitConnect(outgoing, socket, giveUp);
      });
    const send = () => sendRequest({ url, method, headers, body, agent, onRequest }, signal);
    let response: IncomingMessage;
    try {
      response = await send();
    } catch (error) {
      if (signal.aborted || !isKept || !isRepeatable) throw error;
      dropIdle(agent);
      response = await send();
    }
    this.#limits.kept.answered(performance.now() - askedMs);
    this.#lastSignOfLifeMs = performance.now();
    this.#listeners.onDate?.(response.headers.date, askedMs);
    return response;
  }

  #limitKept(outgoing: ClientRequest, giveUp: (reason: Error) => void): void {
    const limitMs = this.#limits.kept.ms;
    const timer = setTimeout(() => giveUp(new Error(`no response on a kept connection within ${limitMs} ms`)), limitMs);
    outgoing.once('close', () => clearTimeout(timer));
    outgoing.once('response', () => clearTimeout(timer));
  }

  /** A failed connection attempt says nothing about how long the server needs to respond. */
  #limitConnect(outgoing: ClientRequest, socket: Socket, giveUp: (reason: Error) => void): void {
    const { connect } = this.#limits;
    const limitMs = connect.ms;
    const startMs = performance.now();
    const timer = setTimeout(() => {
      if (!socket.connecting) connect.exceeded(limitMs);
      giveUp(new Error(`no connection within ${limitMs} ms`));
    }, limitMs);
    outgoing.once('close', () => clearTimeout(timer));
    socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer);
      connect.answered(performance.now() - startMs);
      this.#lastSignOfLifeMs = performance.now();
    });
  }

  /**
   * Grant more time only if the server did something else meanwhile. Otherwise all connections are as doubtful as this
   * one.
   */
  #noteExpiry(limit: TimeLimit, limitMs: number, startMs: number): void {
    if (this.#lastSignOfLifeMs > startMs) limit.exceeded(limitMs);
    if (this.#kept !== undefined) dropIdle(this.#kept.agent);
  }

  async *#listen(response: IncomingMessage, onChunk = () => {}): AsyncGenerator<Buffer, void> {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      this.#lastSignOfLifeMs = performance.now();
      onChunk();
      yield chunk;
    }
  }

  #agentFor(protocol: string, { tls, proxy }: Authorization): Agent {
    if (proxy !== undefined) return proxy;
    if (this.#kept?.tls !== tls) {
      if (this.#kept !== undefined) dropIdle(this.#kept.agent, true);
      this.#kept = { tls, agent: keptConnections(protocol, tls) };
    }
    return this.#kept.agent;
  }
}

/** A caller's signal combined with a time limit. */
class Until implements Disposable {
  readonly #abort = new AbortController();
  readonly #outer: AbortSignal;
  readonly #onOuter = (): void => this.#abort.abort(this.#outer.reason);
  #timer: NodeJS.Timeout;
  ms: number;
  isOver = false;

  constructor(outer: AbortSignal, ms: number) {
    this.#outer = outer;
    this.ms = ms;
    if (outer.aborted) this.#onOuter();
    outer.addEventListener('abort', this.#onOuter, { once: true });
    this.#timer = this.#start();
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Restarts the time limit. */
  extend(ms: number): void {
    clearTimeout(this.#timer);
    this.ms = ms;
    if (!this.signal.aborted) this.#timer = this.#start();
  }

  /** Ends all work under this signal. */
  end(): void {
    this.#abort.abort(new Error('no longer wanted'));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#outer.removeEventListener('abort', this.#onOuter);
  }

  #start(): NodeJS.Timeout {
    return setTimeout(() => {
      this.isOver = true;
      this.#abort.abort(new Error(`no data for ${this.ms} ms`));
    }, this.ms);
  }
}

/**
 * Whether other credentials may help: the server rejected ours, or showed a certificate that our authorities did not
 * sign.
 */
function needsReload(error: unknown): boolean {
  if (error instanceof KubeError) return error.status === 401;
  return tlsTrouble.test((error as NodeJS.ErrnoException).code ?? '');
}

function parseBody(text: string): Pick<KubeAnswer, 'body' | 'isJson'> {
  try {
    return { body: JSON.parse(text), isJson: true };
  } catch {
    return { body: { message: text.slice(0, 200) }, isJson: false };
  }
}

/** The API server sends whole seconds. */
function retryAfterMs(header: string | undefined): number | undefined {
  const seconds = Number(header ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}
