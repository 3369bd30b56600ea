import type { Clock } from '../clock.ts';
import { errorText, type Log } from '../log.ts';
import { NewCauses } from '../new-causes.ts';
import { type Backoff, RetryPause } from '../retry.ts';
import { describeRefusal, KubeError } from './kube-answer.ts';
import type { KubeConnection } from './kube-connection.ts';

export interface FollowOptions<Item> {
  readonly connection: Pick<KubeConnection, 'request' | 'lines'>;
  /** Path and query of the list, selectors included. */
  readonly path: string;
  /** undefined: the object is irrelevant or malformed. */
  readonly read: (object: object) => Item | undefined;
  /**
   * Called after each change with all current items by uid. The same map is updated in place until the next list
   * replaces it.
   */
  readonly onItems: (items: ReadonlyMap<string, Item>) => void;
  readonly clock: Clock;
  readonly log: Log;
  /** The API server sent a malformed response. */
  readonly onGarbage?: (() => void) | undefined;
  /** Called when lists and watches start or stop working, and for each new cause of a failure. */
  readonly onReachable?: ((isReachable: boolean, cause: unknown) => void) | undefined;
  readonly random?: (() => number) | undefined;
}

interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: KubeObject & { readonly code?: number };
}

interface KubeObject {
  readonly metadata?: { readonly uid?: string; readonly resourceVersion?: string };
}

interface Entry<Item> {
  readonly item: Item;
  readonly resourceVersion: string | undefined;
}

const backoff: Backoff = { firstMs: 200, maxMs: 5000 };
/** The server ends a watch after this long. The next watch resumes from the last resourceVersion. */
const watchSeconds = 240;
/**
 * A watch that stays open this long counts as progress even if nothing changes: the server does not end every watch at
 * once.
 */
const provenMs = 10_000;
/** After this many consecutive failures of a watch, list again: the list works whatever is wrong with the watch. */
const maxWatchFailures = 3;

class GarbageError extends Error {}
class DoubtError extends Error {}

/**
 * Keeps a list of objects current: one list, then a watch that resumes where the last one ended. Lists again if the
 * resourceVersion is too old (410) or the watch fails repeatedly. Only progress resets the backoff, so a server that
 * accepts every watch and ends it at once gets no more requests than an unreachable one.
 */
export class FollowedList<Item> {
  readonly #options: FollowOptions<Item>;
  readonly #pause: RetryPause;
  readonly #causes = new NewCauses();
  #isFailing = false;
  #entries = new Map<string, Entry<Item>>();
  /** The items of the entries, updated in place: a copy at each change would be slow with 5000 pods. */
  #items = new Map<string, Item>();
  /** Where the next watch begins; undefined: list first. */
  #resourceVersion: string | undefined;
  #doubt = new AbortController();

  constructor(options: FollowOptions<Item>) {
    this.#options = options;
    this.#pause = new RetryPause({ backoff, clock: options.clock, random: options.random });
  }

  /** Runs until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#resourceVersion === undefined) this.#take(await this.#list(signal));
        await this.#watch(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#noteFailure(error);
      }
      // A watch without progress is followed by a pause, even if it ended normally.
      if (this.#pause.failed() > 1 || this.#isFailing) await this.#pause.wait(signal);
    }
  }

  /**
   * Reopens the watch from the same resourceVersion, because the caller knows of a newer state than the watch shows.
   */
  doubt(): void {
    this.#doubt.abort(new DoubtError('The watch lags behind'));
    this.#doubt = new AbortController();
  }

  /**
   * Lists now and resolves with the current items. If the watch disagrees with the list, it restarts from the list.
   * Throws a {@link KubeError} if the list fails.
   */
  async listNow(signal: AbortSignal): Promise<ReadonlyMap<string, Item>> {
    const list = await this.#list(signal);
    if (!this.#shows(list) && !this.#isAhead(list)) {
      this.#take(list);
      this.doubt();
    }
    // If the watch is ahead, its items are newer than the list's.
    return itemsOf(this.#entries);
  }

  async #list(signal: AbortSignal): Promise<{ readonly entries: Map<string, Entry<Item>>; readonly version: string }> {
    const { connection, path, read } = this.#options;
    const { status, body } = await connection.request({ method: 'GET', path, signal });
    if (status !== 200) throw new KubeError(describeRefusal(`list ${path}`, status, body), { status });
    const { items, metadata } = Object(body) as { items?: KubeObject[]; metadata?: { resourceVersion?: string } };
    // Reject a malformed list: treated as empty it would end a drain.
    if (!Array.isArray(items) || typeof metadata?.resourceVersion !== 'string')
      throw this.#garbage(`Cannot list ${path}: the response is not a list`);
    const entries = new Map<string, Entry<Item>>();
    for (const object of items) {
      const item = read(object);
      const { uid, resourceVersion } = object.metadata ?? {};
      if (item !== undefined && uid !== undefined) entries.set(uid, { item, resourceVersion });
    }
    return { entries, version: metadata.resourceVersion };
  }

  #take({ entries, version }: { readonly entries: Map<string, Entry<Item>>; readonly version: string }): void {
    this.#entries = entries;
    this.#items = itemsOf(entries);
    this.#resourceVersion = version;
    this.#tell();
  }

  /** Whether the watch agrees with the list. */
  #shows({ entries }: { readonly entries: ReadonlyMap<string, Entry<Item>> }): boolean {
    if (this.#resourceVersion === undefined || entries.size !== this.#entries.size) return false;
    return [...entries].every(
      ([uid, { resourceVersion }]) => this.#entries.get(uid)?.resourceVersion === resourceVersion,
    );
  }

  /**
   * The watch may have moved on while the list was in flight; then the list is older. Kubernetes allows
   * resourceVersions to be compared as numbers.
   */
  #isAhead({ version }: { readonly version: string }): boolean {
    return this.#resourceVersion !== undefined && Number(this.#resourceVersion) >= Number(version);
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { connection, path, clock } = this.#options;
    const query = new URLSearchParams({
      watch: 'true',
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(watchSeconds),
      resourceVersion: this.#resourceVersion ?? '',
    });
    const separator = path.includes('?') ? '&' : '?';
    const ended = new AbortController();
    const until = AbortSignal.any([signal, this.#doubt.signal, ended.signal]);
    const proven = clock.sleep(provenMs, until).then(
      () => this.#progressed(),
      () => {},
    );
    try {
      for await (const line of connection.lines(`${path}${separator}${query}`, until)) this.#note(this.#parse(line));
    } catch (error) {
      if (!(error instanceof DoubtError)) throw error;
    } finally {
      ended.abort();
      await proven;
    }
  }

  #note({ type, object }: WatchEvent): void {
    const { path, read } = this.#options;
    if (type === 'ERROR') {
      const status = object.code ?? 500;
      throw new KubeError(describeRefusal(`watch ${path}`, status, object), { status });
    }
    // A DELETED event carries its own resourceVersion, newer than the object's last one. The watch resumes from it.
    const { uid, resourceVersion } = object.metadata ?? {};
    if (resourceVersion !== undefined && resourceVersion !== this.#resourceVersion) this.#progressed();
    this.#resourceVersion = resourceVersion ?? this.#resourceVersion;
    if (type === 'BOOKMARK' || uid === undefined) return;
    const item = read(object);
    if (item === undefined) return;
    if (type === 'DELETED') {
      this.#entries.delete(uid);
      this.#items.delete(uid);
    } else {
      this.#entries.set(uid, { item, resourceVersion });
      this.#items.set(uid, item);
    }
    this.#tell();
  }

  #parse(line: string): WatchEvent {
    const { path } = this.#options;
    let event: Partial<WatchEvent>;
    try {
      event = Object(JSON.parse(line)) as Partial<WatchEvent>;
    } catch (error) {
      throw this.#garbage(`Cannot watch ${path}: a line is not JSON`, error);
    }
    if (typeof event.type !== 'string' || typeof event.object !== 'object' || event.object === null)
      throw this.#garbage(`Cannot watch ${path}: a line is not a watch event`);
    return { type: event.type, object: event.object };
  }

  #garbage(message: string, cause?: unknown): GarbageError {
    this.#options.onGarbage?.();
    return new GarbageError(message, { cause });
  }

  #tell(): void {
    this.#options.onItems(this.#items);
  }

  #progressed(): void {
    const { log, path, onReachable } = this.#options;
    const { failures } = this.#pause;
    this.#pause.progressed();
    if (!this.#isFailing) return;
    this.#isFailing = false;
    this.#causes.clear();
    log.info({ path, failures }, 'Kubernetes watch recovered');
    onReachable?.(true, undefined);
  }

  #noteFailure(error: unknown): void {
    const { log, path, onReachable } = this.#options;
    const isExpired = error instanceof KubeError && error.status === 410;
    if (isExpired || this.#pause.failures + 1 >= maxWatchFailures) this.#resourceVersion = undefined;
    if (isExpired) return;
    this.#isFailing = true;
    const err = errorText(error);
    if (!this.#causes.isNew(err)) return;
    log.warn({ path, err }, 'Kubernetes list or watch failed');
    onReachable?.(false, error);
  }
}

function itemsOf<Item>(entries: ReadonlyMap<string, Entry<Item>>): Map<string, Item> {
  return new Map([...entries].map(([uid, { item }]) => [uid, item]));
}
