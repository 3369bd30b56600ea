import type { Log } from '../../shared/log.ts';

/** One version of the game server, encoded at most once for each kind of watcher. */
export class Snapshot {
  readonly document: object;
  #line: Buffer | undefined;

  constructor(document: object) {
    this.document = document;
  }

  /** As REST streams it: one line of JSON. */
  get line(): Buffer {
    this.#line ??= Buffer.from(`${JSON.stringify({ result: this.document })}\n`);
    return this.#line;
  }
}

/** The way to one watcher. */
export interface WatcherSink {
  /** False: it takes no more until {@link Watch.resume} is called. */
  write(snapshot: Snapshot): boolean;
  /** Ends its stream. `error`: by force, because it does not read. */
  close(error?: Error): void;
}

export interface Watch {
  /** The sink takes more. */
  resume(): void;
  /** The watcher has gone. */
  stop(): void;
}

interface Watcher {
  readonly sink: WatcherSink;
  /** Since when it takes no more. */
  fullSinceMs: number | undefined;
  /** It has missed a version. */
  isBehind: boolean;
}

/** A game has a handful; the limit keeps what their connections hold to some tens of mebibytes. */
export const maxWatchers = 1024;
/** A watcher that reads nothing for so long while there is news is dropped. */
const maxStallMs = 10_000;

/**
 * Sends every watcher the newest version. A slow one skips versions: what is waiting for it is never more than one,
 * however fast the game changes and however slowly it reads.
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

  /** Sends the present version at once, as Agones does. undefined: there are too many. */
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

  /** There is a new version. Those of one turn of the event loop go out as one. */
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
