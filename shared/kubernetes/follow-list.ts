import { type Backoff, backoffMs } from '../backoff.ts';
import type { Clock } from '../clock.ts';
import { errorText, type Log } from '../log.ts';
import { describeRefusal, type KubeConnection, KubeError } from './kube-connection.ts';

export interface FollowOptions<Item> {
  readonly connection: KubeConnection;
  /** Path and query of the list, selectors included. */
  readonly path: string;
  readonly read: (object: object) => Item | undefined;
  readonly key: (item: Item) => string;
  /** Called after each change with all that is there now. */
  readonly onItems: (items: ReadonlyMap<string, Item>) => void;
  /** Aborts where what the watch shows is doubted: a new one is opened then, from the same place. */
  readonly doubt?: () => AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
  /** The API server sent something that makes no sense. */
  readonly onGarbage?: () => void;
  readonly random?: () => number;
}

interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: { readonly metadata?: { readonly resourceVersion?: string }; readonly code?: number };
}

const backoff: Backoff = { firstMs: 200, maxMs: 5000 };
/** The server ends a watch after this long; we come back with the last resourceVersion. */
const watchSeconds = 240;
const connectMs = 5000;

class DoubtError extends Error {}
class GarbageError extends Error {}

/** Ends the watch that it was given for: what it shows is older than what we know. */
export function doubtReason(): Error {
  return new DoubtError('The watch lags behind');
}

/** What a watch continues from; lost where the server no longer knows it (410). */
interface Place {
  resourceVersion: string | undefined;
}

/**
 * Keeps a list of objects current: one list, then a watch that is resumed where it ended. Only a resourceVersion that is too
 * old (410) costs another list. Runs until the signal aborts; nothing else ends it.
 */
export async function followList<Item>(options: FollowOptions<Item>, signal: AbortSignal): Promise<void> {
  const { clock, log, path, random = Math.random } = options;
  const items = new Map<string, Item>();
  const place: Place = { resourceVersion: undefined };
  for (let failures = 0; !signal.aborted; ) {
    try {
      if (place.resourceVersion === undefined) await list(options, items, place, signal);
      if (failures > 0) log.info({ path, failures }, 'Kubernetes API is readable again');
      failures = 0;
      await watch(options, items, place, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof DoubtError) continue;
      if (error instanceof GarbageError) options.onGarbage?.();
      const isExpired = error instanceof KubeError && error.status === 410;
      if (isExpired) place.resourceVersion = undefined;
      failures++;
      if (failures === 1 && !isExpired) log.warn({ path, err: errorText(error) }, 'Cannot follow the Kubernetes API');
      await clock.sleep(backoffMs(backoff, failures, random), signal).catch(() => {});
    }
  }
}

async function list<Item>(
  { connection, path, read, key, onItems }: FollowOptions<Item>,
  items: Map<string, Item>,
  place: Place,
  signal: AbortSignal,
): Promise<void> {
  const { status, body } = await connection.request({ method: 'GET', path, signal });
  if (status !== 200) throw new KubeError(describeRefusal(`list ${path}`, status, body), { status });
  const { items: objects, metadata } = Object(body) as { items?: object[]; metadata?: { resourceVersion?: string } };
  // A list that is none must not be taken for an empty one: a drain would call itself done.
  if (!Array.isArray(objects) || typeof metadata?.resourceVersion !== 'string')
    throw new GarbageError(`Cannot list ${path}: the answer is no list`);
  items.clear();
  for (const object of objects) {
    const item = read(object);
    if (item !== undefined) items.set(key(item), item);
  }
  place.resourceVersion = metadata.resourceVersion;
  onItems(items);
}

async function watch<Item>(
  { connection, path, read, key, onItems, doubt }: FollowOptions<Item>,
  items: Map<string, Item>,
  place: Place,
  signal: AbortSignal,
): Promise<void> {
  const doubted = doubt?.();
  const until = doubted === undefined ? signal : AbortSignal.any([signal, doubted]);
  const query = new URLSearchParams({
    watch: 'true',
    allowWatchBookmarks: 'true',
    timeoutSeconds: String(watchSeconds),
    resourceVersion: place.resourceVersion ?? '',
  });
  const separator = path.includes('?') ? '&' : '?';
  for await (const line of connection.lines(`${path}${separator}${query}`, connectMs, until)) {
    const { type, object } = parseEvent(line, path);
    if (type === 'ERROR')
      throw new KubeError(describeRefusal(`watch ${path}`, object.code ?? 500, object), { status: object.code ?? 500 });
    // A DELETED event has a resourceVersion of its own, newer than the object's last: the watch resumes from it.
    place.resourceVersion = object.metadata?.resourceVersion ?? place.resourceVersion;
    if (type === 'BOOKMARK') continue;
    const item = read(object);
    if (item === undefined) continue;
    if (type === 'DELETED') items.delete(key(item));
    else items.set(key(item), item);
    onItems(items);
  }
}

function parseEvent(line: string, path: string): WatchEvent {
  let event: Partial<WatchEvent>;
  try {
    event = Object(JSON.parse(line)) as Partial<WatchEvent>;
  } catch (error) {
    throw new GarbageError(`Cannot watch ${path}: a line is no JSON`, { cause: error });
  }
  if (typeof event.type !== 'string' || typeof event.object !== 'object' || event.object === null)
    throw new GarbageError(`Cannot watch ${path}: a line is no event`);
  return { type: event.type, object: event.object };
}
