import type { Log } from '../../shared/log.ts';

/** One version of the game server, encoded at most once for each kind of watcher. */
export class Snapshot {
  readonly document: object;
  #line: Buffer | undefined;

  constructor(document: object) {
    this.document = document;
  }

  /** The REST stream's form: one line of JSON. */
  get line(): Buffer {
    this.#line ??= Buffer.from(`${JSON.stringify({ result: this.document })}\n`);
    return this.#line;
  }
}

/** The output to one watcher. */
export interface WatcherSink {
  /** False: it accepts no more until {@link Watch.resume} is called. */
  write(snapshot: Snapshot): boolean;
  /** Ends the stream. With `error`, by force: the watcher does not read. */
  close(error?: Error): void;
}

export interface Watch {
  /** The sink accepts data again. */
  resume(): void;
  /** The watcher has gone. */
  stop(): void;
}

interface Watcher {
  readonly sink: WatcherSink;
  /** When the sink stopped accepting data. */
  fullSinceMs: number | undefined;
  /** The watcher has missed a version. */
  isBehind: boolean;
}

/** A game has a handful; the limit bounds the memory of their connections to some tens of mebibytes. */
export const maxWatchers = 1024;
/** Drop a watcher that reads nothing for this long while there is news. */
const maxStallMs = 10_000;

/**
 * Sends every watcher the newest version. A slow watcher skips versions: at most one waits for it, however fast the
 * game changes and however slowly the watcher reads.
 */
export class Watchers {
  readonly #watchers = new Set<Watcher>();
  readonly #current: () => Snapshot;
  readonly #now: () => number;
  readonly #log: Log;
  #scheduled: NodeJS.Immediate | undefined;

  constructor(options: { readonly current: () => Snapshot; readonly now: () => number; readonly log: Log }) {
    this.#current = options.current;
    this.#now = options.now;
    this.#log = options.log;
  }

  get size(): number {
    return this.#watchers.size;
  }

  /** Adds a watcher and sends the present version at once, as Agones does. undefined: there are too many. */
  add(sink: WatcherSink): Watch | undefined {
    if (this.#watchers.size >= maxWatchers) return undefined;
    const watcher: Watcher = { sink, fullSinceMs: undefined, isBehind: false };
    this.#watchers.add(watcher);
    this.#send(watcher);
    return {
      resume: () => {
        watcher.fullSinceMs = undefined;
        if (watcher.isBehind && this.#watchers.has(watcher)) this.#send(watcher);
      },
      stop: () => {
        this.#watchers.delete(watcher);
      },
    };
  }

  /** Announces a new version. Several changes in one turn of the event loop go out as one. */
  changed(): void {
    if (this.#watchers.size === 0) return;
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined;
      for (const watcher of this.#watchers) this.#sendOrDrop(watcher);
    });
  }

  close(): void {
    clearImmediate(this.#scheduled);
    for (const { sink } of this.#watchers) sink.close();
    this.#watchers.clear();
  }

  #sendOrDrop(watcher: Watcher): void {
    const { fullSinceMs } = watcher;
    if (fullSinceMs === undefined) {
      this.#send(watcher);
      return;
    }
    watcher.isBehind = true;
    if (this.#now() - fullSinceMs < maxStallMs) return;
    this.#watchers.delete(watcher);
    this.#log.warn({ stalledMs: this.#now() - fullSinceMs }, 'SDK watcher dropped: it does not read');
    watcher.sink.close(new Error('The watcher does not read'));
  }

  #send(watcher: Watcher): void {
    watcher.isBehind = false;
    if (!watcher.sink.write(this.#current())) watcher.fullSinceMs = this.#now();
  }
}
