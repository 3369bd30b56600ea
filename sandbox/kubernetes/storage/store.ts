import type { KubeObject } from '../objects.ts';

/** Names the objects of one resource and carries their type. */
export interface Collection<T extends KubeObject> {
  readonly storage: string;
  readonly shape?: T;
}

export interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly resourceVersion: number;
  /** The state after the change; for a deleted object its last state, with the resourceVersion of the deletion. */
  readonly object: KubeObject;
  readonly previous?: KubeObject;
}

export type ChangeListener = (change: Change) => void;

interface Shelf {
  readonly objects: Map<string, KubeObject>;
  /** The sorted keys, until one is added or removed: lists are far more frequent than either. */
  order: readonly string[] | undefined;
  readonly history: Change[];
  /** Changes up to this resourceVersion are forgotten. */
  forgotten: number;
  readonly listeners: Set<ChangeListener>;
}

function keyOf(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`;
}

function freeze<T>(value: T): T {
  if (value !== null && typeof value === 'object' && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const child of Object.values(value)) freeze(child);
  }
  return value;
}

/**
 * The double's etcd and watch cache: the objects by resource, namespace and name, one resourceVersion that grows with
 * every write, and the last changes of each resource. Objects are frozen: clone one to change it. Every write is
 * complete, listeners included, before the call returns.
 */
export class Store {
  readonly #shelves = new Map<string, Shelf>();
  readonly #historyLimit: number;
  #version: number;
  /** Changes up to this resourceVersion are forgotten for a resource without entries yet. */
  #forgotten = 0;

  /** `historyLimit`: number of changes kept for each resource; a watch from before them gets 410. */
  constructor(options: { historyLimit?: number; firstVersion?: number } = {}) {
    this.#historyLimit = options.historyLimit ?? 10_000;
    this.#version = options.firstVersion ?? 1;
  }

  get resourceVersion(): number {
    return this.#version;
  }

  get<T extends KubeObject>(from: Collection<T>, namespace: string | undefined, name: string): T | undefined {
    return this.#shelf(from.storage).objects.get(keyOf(namespace, name)) as T | undefined;
  }

  /** Sorted by namespace and name, like etcd's keys. */
  list<T extends KubeObject>(from: Collection<T>, namespace?: string): T[] {
    const shelf = this.#shelf(from.storage);
    shelf.order ??= [...shelf.objects.keys()].sort();
    const prefix = namespace === undefined ? '' : keyOf(namespace, '');
    return shelf.order.flatMap((key) => (key.startsWith(prefix) ? [shelf.objects.get(key) as T] : []));
  }

  /** The list as it was at an earlier resourceVersion; undefined if that is forgotten. */
  listAt<T extends KubeObject>(from: Collection<T>, resourceVersion: number, namespace?: string): T[] | undefined {
    const shelf = this.#shelf(from.storage);
    if (resourceVersion < shelf.forgotten) return undefined;
    const objects = new Map(shelf.objects);
    for (const change of shelf.history.toReversed()) {
      if (change.resourceVersion <= resourceVersion) break;
      const key = keyOf(change.object.metadata.namespace, change.object.metadata.name);
      if (change.previous === undefined) objects.delete(key);
      else objects.set(key, change.previous);
    }
    const all = [...objects.values()] as T[];
    return all.filter((object) => namespace === undefined || object.metadata.namespace === namespace).sort(byKey);
  }

  /** Stores the object under its namespace and name with a new resourceVersion, and returns the stored object. */
  put<T extends KubeObject>(into: Collection<T>, object: T): T {
    const shelf = this.#shelf(into.storage);
    const previous = shelf.objects.get(keyOf(object.metadata.namespace, object.metadata.name));
    const stored = this.#stamp(object);
    shelf.objects.set(keyOf(stored.metadata.namespace, stored.metadata.name), stored);
    if (previous === undefined) shelf.order = undefined;
    this.#record(shelf, {
      type: previous === undefined ? 'ADDED' : 'MODIFIED',
      resourceVersion: this.#version,
      object: stored,
      ...(previous === undefined ? {} : { previous }),
    });
    return stored;
  }

  /** Removes the object and returns its last state, with a new resourceVersion. */
  remove<T extends KubeObject>(from: Collection<T>, object: T): T {
    const shelf = this.#shelf(from.storage);
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    const previous = shelf.objects.get(key);
    shelf.objects.delete(key);
    shelf.order = undefined;
    const stored = this.#stamp(object);
    const before = previous === undefined ? {} : { previous };
    this.#record(shelf, { type: 'DELETED', resourceVersion: this.#version, object: stored, ...before });
    return stored;
  }

  /** Calls the listener with every later change of the resource. The returned function unsubscribes. */
  subscribe(to: Collection<KubeObject>, listener: ChangeListener): () => void {
    const { listeners } = this.#shelf(to.storage);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }

  /** The changes after `resourceVersion`; if some of them are forgotten, the oldest version that still works. */
  changesAfter(of: Collection<KubeObject>, resourceVersion: number): Change[] | { readonly oldest: number } {
    const shelf = this.#shelf(of.storage);
    if (resourceVersion < shelf.forgotten) return { oldest: shelf.forgotten };
    return shelf.history.filter((change) => change.resourceVersion > resourceVersion);
  }

  /** Forgets all changes so far: watches resumed from before now get 410 Expired, as after an API server's restart. */
  forgetHistory(): void {
    this.#forgotten = this.#version;
    for (const shelf of this.#shelves.values()) {
      shelf.history.length = 0;
      shelf.forgotten = this.#version;
    }
  }

  #shelf(storage: string): Shelf {
    let shelf = this.#shelves.get(storage);
    if (shelf === undefined) {
      shelf = { objects: new Map(), order: undefined, history: [], forgotten: this.#forgotten, listeners: new Set() };
      this.#shelves.set(storage, shelf);
    }
    return shelf;
  }

  #stamp<T extends KubeObject>(object: T): T {
    this.#version += 1;
    return freeze({ ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } });
  }

  #record(shelf: Shelf, change: Change): void {
    shelf.history.push(change);
    if (shelf.history.length > this.#historyLimit) {
      const dropped = shelf.history.splice(0, Math.ceil(this.#historyLimit / 10));
      shelf.forgotten = dropped.at(-1)?.resourceVersion ?? shelf.forgotten;
    }
    for (const listener of [...shelf.listeners]) listener(change);
  }
}

function byKey(a: KubeObject, b: KubeObject): number {
  const left = keyOf(a.metadata.namespace, a.metadata.name);
  const right = keyOf(b.metadata.namespace, b.metadata.name);
  return left < right ? -1 : left > right ? 1 : 0;
}
