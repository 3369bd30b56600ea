import { parseInventoryEvent } from '../shared/events/parse-event.ts';
import type { Change, InventoryView } from './fold/inventory-view.ts';
import { nodeKey } from './fold/node-table.ts';
import type { LeaseClock } from './queue/lease-clock.ts';
import type { Message } from './queue/queue.ts';
import type { InventoryStore, SetAside } from './store/inventory-store.ts';
import { type TimelineEntry, timelineEntry } from './timeline.ts';

export interface IntakeOptions {
  readonly view: InventoryView;
  readonly store: InventoryStore;
  readonly leaseClock: LeaseClock;
  readonly now: () => number;
  /** Called for each counted thing, with a name of {@link counterNames}. */
  readonly onCount?: (name: string) => void;
}

/** The outcomes of a message, besides `set-aside/CODE`. Each message counts once, under one name. */
export const counterNames = ['folded', 'repeat', 'late'] as const;

interface Pending {
  readonly gameServers: Set<string>;
  readonly nodes: Set<string>;
  readonly forgottenGameServers: Set<string>;
  readonly forgottenNodes: Set<string>;
  readonly setAside: SetAside[];
  readonly timeline: TimelineEntry[];
  readonly counts: Map<string, number>;
  readonly stored: PromiseWithResolvers<void>;
}

/** A disk sync takes longer than everything else, so messages of several pollers within this time share one. */
const gatherMs = 10;

/** Parses and folds messages, and stores those that arrive together in one transaction. */
export class Intake {
  readonly #options: IntakeOptions;
  #pending: Pending | undefined;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** Folds at once. `stored` resolves when the messages may be deleted, and rejects with a FatalError of the store. */
  take(messages: readonly Message[]): { readonly changes: readonly Change[]; readonly stored: Promise<void> } {
    const { leaseClock, now } = this.#options;
    const pending = this.#open();
    const nowMs = now();
    const changes: Change[] = [];
    for (const message of messages) {
      leaseClock.heard(message.sentMs, nowMs);
      changes.push(...this.#takeOne(message, pending, nowMs));
    }
    return { changes, stored: pending.stored.promise };
  }

  /** The queue was empty: everything sent before has been heard. */
  drained(queueNowMs: number): void {
    this.#options.leaseClock.drained(queueNowMs);
  }

  /** Expires leases that were not renewed. */
  expire(): readonly Change[] {
    const { view, leaseClock, now } = this.#options;
    const changes = view.expire(leaseClock.nowMs);
    if (changes.length > 0) this.#note(changes, this.#open(), now());
    return changes;
  }

  /** Writes everything that is waiting. */
  flush(): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    this.#pending = undefined;
    const { view, store, leaseClock } = this.#options;
    try {
      store.write({
        ...pending,
        gameServers: [...pending.gameServers].flatMap((id) => view.gameServerRecord(id) ?? []),
        nodes: [...pending.nodes].flatMap((key) => view.nodeRecord(key) ?? []),
        leaseNowMs: leaseClock.nowMs,
      });
      pending.stored.resolve();
    } catch (error) {
      pending.stored.reject(error);
    }
  }

  #open(): Pending {
    if (this.#pending !== undefined) return this.#pending;
    this.#pending = {
      gameServers: new Set(),
      nodes: new Set(),
      forgottenGameServers: new Set(),
      forgottenNodes: new Set(),
      setAside: [],
      timeline: [],
      counts: new Map(),
      stored: Promise.withResolvers(),
    };
    // Expired leases are stored too, although no caller waits for them.
    this.#pending.stored.promise.catch(() => {});
    setTimeout(() => this.flush(), gatherMs);
    return this.#pending;
  }

  #takeOne(message: Message, pending: Pending, nowMs: number): readonly Change[] {
    const parsed = parseInventoryEvent(message.body);
    if ('refused' in parsed) {
      this.#setAside(message, parsed.code, parsed.refused, pending, nowMs);
      return [];
    }
    const { event } = parsed;
    const outcome = this.#options.view.apply(event, message.sentMs);
    if (outcome.kind === 'conflict') {
      this.#setAside(message, 'conflict', outcome.reason, pending, nowMs);
      return [];
    }
    this.#count(outcome.kind, pending);
    if (outcome.kind !== 'folded') return [];
    if ('game_server_id' in event.data) {
      pending.gameServers.add(event.data.game_server_id);
      pending.forgottenGameServers.delete(event.data.game_server_id);
    } else {
      const key = nodeKey(event.data) ?? event.subject;
      pending.nodes.add(key);
      pending.forgottenNodes.delete(key);
    }
    this.#note(outcome.changes, pending, nowMs);
    return outcome.changes;
  }

  #note(changes: readonly Change[], pending: Pending, nowMs: number): void {
    for (const change of changes) {
      if (change.kind === 'game-server-forgotten') pending.forgottenGameServers.add(change.id);
      if (change.kind === 'node-forgotten') pending.forgottenNodes.add(change.key);
      const entry = timelineEntry(change, nowMs);
      if (entry !== undefined) pending.timeline.push(entry);
    }
  }

  #setAside(message: Message, code: string, reason: string, pending: Pending, nowMs: number): void {
    pending.setAside.push({ atMs: nowMs, messageId: message.id, code, reason, body: message.body });
    this.#count(`set-aside/${code}`, pending);
  }

  #count(name: string, pending: Pending): void {
    pending.counts.set(name, (pending.counts.get(name) ?? 0) + 1);
    this.#options.onCount?.(name);
  }
}
