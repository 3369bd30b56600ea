import type { Change } from './fold/inventory-view.ts';

/** A change of a game server's or node's state, for people. */
export interface TimelineEntry {
  /** When the reader saw it, epoch milliseconds. */
  readonly atMs: number;
  readonly subject: 'game-server' | 'node';
  readonly id: string;
  /** null: it was unknown before. */
  readonly before: string | null;
  readonly after: string;
  readonly node: string | null;
  readonly reason: string | null;
  /** RFC 3339. */
  readonly deadline: string | null;
}

/** The entry of a change; undefined if no state changed (a player joined, say) or the game server was forgotten. */
export function timelineEntry(change: Change, atMs: number): TimelineEntry | undefined {
  switch (change.kind) {
    case 'game-server': {
      const { game_server_id: id, status, node, instance_id, reason, deadline } = change.row;
      if (status === change.before) return undefined;
      return {
        atMs,
        subject: 'game-server',
        id,
        before: change.before,
        after: status,
        node: node ?? instance_id,
        reason,
        deadline,
      };
    }
    case 'node': {
      const { key, node, status, kind, deadline } = change.row;
      return {
        atMs,
        subject: 'node',
        id: node ?? key,
        before: null,
        after: status,
        node: node ?? key,
        reason: kind,
        deadline,
      };
    }
    case 'game-server-forgotten':
    case 'node-forgotten':
      return undefined;
  }
}

/** Enough for a terminal and for the page's log. */
const maxEntries = 1000;

/** The newest entries, newest last. */
export class Timeline {
  #entries: TimelineEntry[];

  constructor(entries: readonly TimelineEntry[] = []) {
    this.#entries = entries.slice(-maxEntries);
  }

  add(changes: readonly Change[], atMs: number): readonly TimelineEntry[] {
    const added = changes.flatMap((change) => timelineEntry(change, atMs) ?? []);
    this.#entries.push(...added);
    // Removed in chunks, because each removal moves every entry that stays.
    if (this.#entries.length > 2 * maxEntries) this.#entries = this.#entries.slice(-maxEntries);
    return added;
  }

  entries(): readonly TimelineEntry[] {
    return this.#entries.slice(-maxEntries);
  }
}
