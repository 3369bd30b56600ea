import { Agent as HttpAgent, type IncomingMessage, request } from 'node:http';
import { Agent as HttpsAgent, request as requestTls } from 'node:https';
import { KubeError } from './kube-error.ts';
import type { AnyKubeObject, KubeList, KubeObject, WatchEvent } from './kube-object.ts';
import { readLines, readText } from './read-body.ts';

const defaultTimeoutMs = 10_000;
/** The API server refuses objects beyond 1.5 MiB; a list of a thousand pods of the usual 10 KiB is 10 MiB. */
const maxAnswerBytes = 64 * 1024 * 1024;
const maxEventBytes = 4 * 1024 * 1024;
/** What client-go asks for at least, so that a watch on a dead connection ends some day. */
const defaultWatchSeconds = 300;
/** On top of the watch's own time, for the server to end it first. */
const watchGraceMs = 5_000;

export interface CallOptions {
  signal?: AbortSignal;
  /** For the whole call, answer included. Default 10 s. */
  timeoutMs?: number;
}

export interface Selection {
  labelSelector?: string;
  fieldSelector?: string;
}

export interface RemoveOptions extends CallOptions {
  gracePeriodSeconds?: number;
  /** Refuse (409) to delete another object of the same name. */
  uid?: string;
  propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
}

export interface WatchOptions extends Selection {
  /** Without it the watch begins with an ADDED for everything there is. */
  resourceVersion?: string;
  timeoutSeconds?: number;
  signal?: AbortSignal;
}

export type PatchKind = 'strategic' | 'merge' | 'json';

const patchContentTypes: Record<PatchKind, string> = {
  strategic: 'application/strategic-merge-patch+json',
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
};

interface Call {
  method: string;
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  contentType?: string;
}

/**
 * A small JSON client for the sandbox's own parts. Paths are as on the wire: `/api/v1/nodes/n1`.
 * A refusal throws a KubeError; no answer (network, time-out, abort) throws an Error whose cause says why.
 */
export class KubeClient {
  readonly url: string;
  readonly #token: string | undefined;
  readonly #agent: HttpAgent;

  /** `ca` is the authority (PEM) of an https:// server. */
  constructor({ url, token, ca }: { url: string; token?: string; ca?: string }) {
    const protocol = URL.canParse(url) ? new URL(url).protocol : undefined;
    if (protocol !== 'http:' && protocol !== 'https:') {
      throw new TypeError(`Cannot use API server ${url}: expected an http:// or https:// URL`);
    }
    this.url = url;
    this.#token = token;
    this.#agent = protocol === 'http:' ? new HttpAgent({ keepAlive: true }) : new HttpsAgent({ keepAlive: true, ca });
  }

  get<T extends KubeObject = AnyKubeObject>(path: string, options: CallOptions = {}): Promise<T> {
    return this.#call({ method: 'GET', path }, options);
  }

  list<T extends KubeObject = AnyKubeObject>(
    path: string,
    { labelSelector, fieldSelector, ...options }: Selection & CallOptions = {},
  ): Promise<KubeList<T>> {
    return this.#call({ method: 'GET', path, query: { labelSelector, fieldSelector } }, options);
  }

  create<T extends KubeObject = AnyKubeObject>(path: string, object: unknown, options: CallOptions = {}): Promise<T> {
    return this.#call({ method: 'POST', path, body: object }, options);
  }

  replace<T extends KubeObject = AnyKubeObject>(path: string, object: unknown, options: CallOptions = {}): Promise<T> {
    return this.#call({ method: 'PUT', path, body: object }, options);
  }

  patch<T extends KubeObject = AnyKubeObject>(
    path: string,
    kind: PatchKind,
    body: unknown,
    options: CallOptions = {},
  ): Promise<T> {
    return this.#call({ method: 'PATCH', path, body, contentType: patchContentTypes[kind] }, options);
  }

  async remove(path: string, options: RemoveOptions = {}): Promise<void> {
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', ...deleteOptions(options) };
    await this.#call({ method: 'DELETE', path, body }, options);
  }

  async evict(namespace: string, name: string, options: RemoveOptions = {}): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/eviction`;
    const body = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name, namespace },
      deleteOptions: deleteOptions(options),
    };
    await this.#call({ method: 'POST', path, body }, options);
  }

  /**
   * Ends when the server ends the watch or `signal` aborts; throws a KubeError where it is refused and an Error where
   * the connection breaks or talks nonsense. An expired resourceVersion is an ERROR event with code 410, then the end.
   * A slow consumer slows the server down: nothing is buffered here beyond one read.
   */
  async *watch<T extends KubeObject = AnyKubeObject>(
    path: string,
    { signal, timeoutSeconds = defaultWatchSeconds, ...selection }: WatchOptions = {},
  ): AsyncGenerator<WatchEvent<T>, void, undefined> {
    const act = `watch ${path}`;
    const query = { watch: 1, allowWatchBookmarks: true, timeoutSeconds, ...selection };
    const ended = new AbortController();
    const limit = setTimeout(() => ended.abort(), timeoutSeconds * 1000 + watchGraceMs);
    const stop = (): void => ended.abort();
    signal?.addEventListener('abort', stop);
    try {
      if (signal?.aborted) return;
      const response = await this.#begin({ method: 'GET', path, query }, defaultTimeoutMs, ended.signal);
      if (response.statusCode !== 200) {
        response.setTimeout(defaultTimeoutMs, () => response.destroy(new Error('the refusal breaks off')));
        throw await refusal(act, response);
      }
      for await (const line of readLines(response, maxEventBytes)) yield JSON.parse(line) as WatchEvent<T>;
    } catch (error) {
      if (ended.signal.aborted) return;
      throw error instanceof KubeError ? error : failure(act, error);
    } finally {
      clearTimeout(limit);
      signal?.removeEventListener('abort', stop);
      ended.abort();
    }
  }

  /** Closes the idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  async #call<T>(call: Call, { signal, timeoutMs = defaultTimeoutMs }: CallOptions): Promise<T> {
    const act = `${call.method} ${call.path}`;
    const limit = AbortSignal.timeout(timeoutMs);
    const ended = signal === undefined ? limit : AbortSignal.any([signal, limit]);
    try {
      const response = await this.#begin(call, timeoutMs, ended);
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) throw await refusal(act, response);
      return JSON.parse(await readText(response, maxAnswerBytes)) as T;
    } catch (error) {
      if (error instanceof KubeError) throw error;
      throw failure(act, limit.aborted ? new Error(`no answer within ${timeoutMs} ms`, { cause: error }) : error);
    }
  }

  /** Resolves at the answer's headers; `signal` ends the request and, later, the reading of its body. */
  #begin(call: Call, headersTimeoutMs: number, signal: AbortSignal): Promise<IncomingMessage> {
    const url = new URL(call.path, this.url);
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const headers: Record<string, string> = { accept: 'application/json' };
    if (this.#token !== undefined) headers['authorization'] = `Bearer ${this.#token}`;
    if (body !== undefined) {
      headers['content-type'] = call.contentType ?? 'application/json';
      headers['content-length'] = String(Buffer.byteLength(body));
    }
    return new Promise((resolve, reject) => {
      const send = url.protocol === 'http:' ? request : requestTls;
      const sent = send(url, { method: call.method, headers, agent: this.#agent, signal });
      const late = setTimeout(
        () => sent.destroy(new Error(`no answer within ${headersTimeoutMs} ms`)),
        headersTimeoutMs,
      );
      sent.once('close', () => clearTimeout(late));
      sent.on('error', reject);
      sent.once('response', (response) => {
        clearTimeout(late);
        resolve(response);
      });
      sent.end(body);
    });
  }
}

function deleteOptions({ gracePeriodSeconds, uid, propagationPolicy }: RemoveOptions): object {
  return { gracePeriodSeconds, propagationPolicy, preconditions: uid === undefined ? undefined : { uid } };
}

async function refusal(act: string, response: IncomingMessage): Promise<KubeError> {
  return new KubeError(act, {
    status: response.statusCode ?? 0,
    retryAfter: response.headers['retry-after'],
    body: await readText(response, maxAnswerBytes),
  });
}

function failure(act: string, cause: unknown): Error {
  return new Error(`Cannot ${act}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}
