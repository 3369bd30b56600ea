import type { ServerResponse } from 'node:http';
import type { KubeObject } from '../objects.ts';
import { apiVersionOf, type Resource } from '../registry/resource.ts';
import { expired, internalError, Refusal, type Status } from '../status-errors.ts';
import type { Change, Store } from '../storage/store.ts';
import { type Selects, watchEvent } from '../storage/watch-event.ts';
import { presentObject, type Representation } from './answer.ts';
import { checkVersionMatch, selectionOf, versionComplaint } from './list.ts';

export interface WatchTimers {
  /** Interval of bookmarks for a watcher that asked for them. */
  readonly bookmarkPeriodMs: number;
  /** Duration of a watch without timeoutSeconds. */
  readonly watchTimeoutMs: number;
  /** Close a watch whose client leaves more than this unread. */
  readonly watchBufferBytes: number;
}

export interface WatchRequest {
  readonly of: Resource;
  readonly namespace: string | undefined;
  readonly query: URLSearchParams;
  readonly representation: Representation;
}

/** Send a last bookmark this long before the end, so that the next watch resumes from there. */
const bookmarkBeforeEndMs = 2_000;
const initialEventsEnd = 'k8s.io/initial-events-end';
const maxTimerMs = 2 ** 31 - 1;

/**
 * Checks a watch and returns the function that runs it on a response. Throws 400, 422 and 500 before anything is sent;
 * a resourceVersion that is too old is an ERROR event on a stream with status 200.
 */
export function prepareWatch(
  store: Store,
  request: WatchRequest,
  timers: WatchTimers,
): (response: ServerResponse) => () => void {
  const { of, namespace, query } = request;
  const selects = selectionOf(of, namespace, query);
  checkVersionMatch(query);
  const asked = query.get('resourceVersion') ?? '';
  const complaint = versionComplaint(asked);
  if (complaint !== undefined) throw new Refusal(internalError(complaint));
  const initial = asked === '' || asked === '0' || query.get('sendInitialEvents') === 'true';
  const from = initial ? undefined : Number(asked);
  return (response) => new Watch(store, request, timers, selects, response).begin(from);
}

class Watch {
  readonly #store: Store;
  readonly #request: WatchRequest;
  readonly #timers: WatchTimers;
  readonly #selects: Selects;
  readonly #response: ServerResponse;
  readonly #scheduled: NodeJS.Timeout[] = [];
  #unsubscribe: () => void = () => undefined;
  /** Everything up to this version was sent. */
  #sent = 0;

  constructor(store: Store, request: WatchRequest, timers: WatchTimers, selects: Selects, response: ServerResponse) {
    this.#store = store;
    this.#request = request;
    this.#timers = timers;
    this.#selects = selects;
    this.#response = response;
  }

  /** Without `from` the watch starts with all existing objects. The returned function ends it. */
  begin(from: number | undefined): () => void {
    this.#response.writeHead(200, { 'content-type': 'application/json' });
    this.#response.flushHeaders();
    this.#response.once('close', () => this.#stop());
    if (from === undefined) this.#sendInitial();
    else if (!this.#resume(from)) return () => undefined;
    this.#unsubscribe = this.#store.subscribe(this.#request.of, (change) => this.#pass(change));
    this.#schedule();
    return () => this.#end();
  }

  #sendInitial(): void {
    const { of, namespace } = this.#request;
    for (const object of this.#store.list(of, namespace)) {
      if (this.#selects(object)) this.#send('ADDED', this.#present(object));
    }
    this.#sent = this.#store.resourceVersion;
    if (this.#hasBookmarks()) this.#bookmark({ [initialEventsEnd]: 'true' });
  }

  #resume(from: number): boolean {
    const changes = this.#store.changesAfter(this.#request.of, from);
    this.#sent = from;
    if ('oldest' in changes) {
      this.#send('ERROR', { ...expired(`too old resource version: ${from} (${changes.oldest})`) });
      this.#end();
      return false;
    }
    for (const change of changes) this.#pass(change);
    return true;
  }

  #pass(change: Change): void {
    if (change.resourceVersion <= this.#sent) return;
    this.#sent = change.resourceVersion;
    const event = watchEvent(change, this.#selects);
    if (event !== undefined) this.#send(event.type, this.#present(event.object));
  }

  #schedule(): void {
    const seconds = Number(this.#request.query.get('timeoutSeconds') ?? 0);
    const endMs = Math.min(seconds > 0 ? seconds * 1000 : this.#timers.watchTimeoutMs, maxTimerMs);
    this.#scheduled.push(setTimeout(() => this.#end(), endMs));
    if (!this.#hasBookmarks()) return;
    this.#scheduled.push(setInterval(() => this.#bookmark(), this.#timers.bookmarkPeriodMs));
    const lastMs = endMs - bookmarkBeforeEndMs;
    if (lastMs > 0) this.#scheduled.push(setTimeout(() => this.#bookmark(), lastMs));
  }

  #hasBookmarks(): boolean {
    return this.#request.query.get('allowWatchBookmarks') === 'true';
  }

  #bookmark(annotations?: Record<string, string>): void {
    const { of } = this.#request;
    const version = this.#store.resourceVersion;
    // A watch from a future version is silent until that version exists.
    if (version < this.#sent) return;
    this.#sent = version;
    const metadata = { resourceVersion: String(version), ...(annotations === undefined ? {} : { annotations }) };
    const body = of.kind === 'Pod' ? { spec: { containers: null }, status: {} } : {};
    this.#send('BOOKMARK', { kind: of.kind, apiVersion: apiVersionOf(of), metadata, ...body });
  }

  #present(object: KubeObject): Record<string, unknown> {
    return presentObject(this.#request.of, object, this.#request.representation);
  }

  #send(type: string, object: Record<string, unknown> | Status): void {
    if (this.#response.writableEnded || this.#response.destroyed) return;
    this.#response.write(`${JSON.stringify({ type, object })}\n`);
    // Close the watch: its client could never catch up, and would use up the server's memory. It has to list again.
    if (this.#response.writableLength > this.#timers.watchBufferBytes) this.#response.destroy();
  }

  #end(): void {
    this.#stop();
    this.#response.end();
  }

  #stop(): void {
    this.#unsubscribe();
    for (const timer of this.#scheduled) clearTimeout(timer);
    this.#scheduled.length = 0;
  }
}
