import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { GameServerEvent, NodeEvent } from '../../shared/events/event.ts';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { errorText } from '../../shared/log.ts';
import type { GameServerRecord, Heard } from '../fold/game-server-record.ts';
import type { NodeRecord } from '../fold/node-table.ts';
import { SequenceSet } from '../fold/sequence-set.ts';
import type { TimelineEntry } from '../timeline.ts';
import { layOut } from './layout.ts';

/** A message that is not a valid event, or that contradicts one, kept for people to examine. */
export interface SetAside {
  readonly atMs: number;
  readonly messageId: string;
  /** For counting: a refusal code, or `conflict`. */
  readonly code: string;
  /** For people. */
  readonly reason: string;
  readonly body: string;
}

/** The content of one transaction. */
export interface Writing {
  readonly gameServers: Iterable<Readonly<GameServerRecord>>;
  readonly nodes: Iterable<Readonly<NodeRecord>>;
  readonly forgottenGameServers: Iterable<string>;
  readonly forgottenNodes: Iterable<string>;
  readonly setAside: Iterable<SetAside>;
  readonly timeline: Iterable<TimelineEntry>;
  /** Added to the counters. */
  readonly counts: Iterable<readonly [name: string, count: number]>;
  readonly leaseNowMs: number;
}

export interface Stored {
  readonly gameServers: readonly GameServerRecord[];
  readonly nodes: readonly NodeRecord[];
  readonly leaseNowMs: number;
  readonly counts: ReadonlyMap<string, number>;
  /** Newest last. */
  readonly timeline: readonly TimelineEntry[];
}

/** Maximum number of rows kept; the counters go on. */
const maxSetAside = 10_000;
const maxTimelineEntries = 2000;
/** Enough to see what a sender does wrong; a message may have a megabyte. */
const maxBodyCharacters = 16_384;

type Row = Readonly<Record<string, string | number | null>>;

/**
 * The reader's state in one SQLite file. It allows messages to be deleted from the queue: what {@link write} has stored
 * survives a crash of the process and a power failure.
 */
export class InventoryStore {
  readonly #database: DatabaseSync;
  readonly #statements: ReadonlyMap<string, StatementSync>;
  readonly #path: string;

  /**
   * Opens or creates the file; `:memory:` keeps nothing. Throws a FatalError that names the path if another reader uses
   * the file, it belongs to another queue, or it cannot be written.
   */
  constructor(path: string, queueUrl: string) {
    this.#path = path;
    try {
      this.#database = new DatabaseSync(path, { timeout: 1000 });
      layOut(this.#database, queueUrl);
      this.#statements = new Map(Object.entries(sql).map(([name, text]) => [name, this.#database.prepare(text)]));
    } catch (error) {
      throw new FatalError(`Cannot open inventory state ${path}: ${errorText(error)}`, {
        cause: error,
        status: exitStatus.cannotCreate,
      });
    }
  }

  /** All or nothing. Throws a FatalError if the disk refuses: the folded state is then ahead of the stored one. */
  write(writing: Writing): void {
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      this.#writeRows(writing);
      this.#database.exec('COMMIT');
    } catch (error) {
      throw new FatalError(`Cannot write inventory state ${this.#path}: ${errorText(error)}`, {
        cause: error,
        status: exitStatus.osError,
      });
    }
  }

  read(): Stored {
    const rows = (name: SqlName): Row[] => this.#statement(name).all() as Row[];
    return {
      gameServers: rows('gameServers').map(readGameServer),
      nodes: rows('nodes').map((row) => ({
        key: String(row['key']),
        newest: { event: JSON.parse(String(row['event'])) as NodeEvent, heardMs: Number(row['heard_ms']) },
        ids: JSON.parse(String(row['ids'])) as string[],
      })),
      leaseNowMs: Number(rows('leaseNow')[0]?.['value'] ?? Number.NEGATIVE_INFINITY),
      counts: new Map(rows('counts').map(({ name, value }) => [String(name), Number(value)])),
      timeline: rows('timeline').map(({ entry }) => JSON.parse(String(entry)) as TimelineEntry),
    };
  }

  /** The newest messages that were set aside, newest first. */
  setAside(limit: number): SetAside[] {
    return (this.#statement('setAside').all(limit) as Row[]).map((row) => ({
      atMs: Number(row['at_ms']),
      messageId: String(row['message_id']),
      code: String(row['code']),
      reason: String(row['reason']),
      body: String(row['body']),
    }));
  }

  close(): void {
    this.#database.close();
  }

  #writeRows(writing: Writing): void {
    for (const { id, living, lost, terminated, seen, seenLost } of writing.gameServers)
      this.#statement('putGameServer').run(
        id,
        ...columns(living),
        ...columns(lost),
        ...columns(terminated),
        seen.toString(),
        seenLost.toString(),
      );
    for (const { key, newest, ids } of writing.nodes)
      this.#statement('putNode').run(key, JSON.stringify(newest.event), newest.heardMs, JSON.stringify(ids));
    for (const id of writing.forgottenGameServers) this.#statement('forgetGameServer').run(id);
    for (const key of writing.forgottenNodes) this.#statement('forgetNode').run(key);
    for (const { atMs, messageId, code, reason, body } of writing.setAside) {
      this.#statement('putSetAside').run(atMs, messageId, code, reason, body.slice(0, maxBodyCharacters));
      this.#statement('trimSetAside').run(maxSetAside);
    }
    for (const entry of writing.timeline) {
      this.#statement('putTimeline').run(JSON.stringify(entry));
      this.#statement('trimTimeline').run(maxTimelineEntries);
    }
    for (const [name, count] of writing.counts) this.#statement('count').run(name, count);
    if (Number.isFinite(writing.leaseNowMs)) this.#statement('putLeaseNow').run(Math.floor(writing.leaseNowMs));
  }

  #statement(name: SqlName): StatementSync {
    const statement = this.#statements.get(name);
    if (statement === undefined) throw new Error(`Cannot find statement ${name}`);
    return statement;
  }
}

const sql = {
  gameServers: 'SELECT * FROM game_servers',
  nodes: 'SELECT * FROM nodes',
  counts: 'SELECT * FROM counters',
  timeline: 'SELECT entry FROM timeline ORDER BY position',
  leaseNow: "SELECT value FROM facts WHERE name = 'lease_now_ms'",
  setAside: 'SELECT * FROM set_aside ORDER BY position DESC LIMIT ?',
  putGameServer: 'INSERT OR REPLACE INTO game_servers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  putNode: 'INSERT OR REPLACE INTO nodes VALUES (?, ?, ?, ?)',
  forgetGameServer: 'DELETE FROM game_servers WHERE id = ?',
  forgetNode: 'DELETE FROM nodes WHERE key = ?',
  putSetAside: 'INSERT INTO set_aside (at_ms, message_id, code, reason, body) VALUES (?, ?, ?, ?, ?)',
  trimSetAside: 'DELETE FROM set_aside WHERE position <= last_insert_rowid() - ?',
  putTimeline: 'INSERT INTO timeline (entry) VALUES (?)',
  trimTimeline: 'DELETE FROM timeline WHERE position <= last_insert_rowid() - ?',
  count: 'INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value',
  putLeaseNow: "INSERT OR REPLACE INTO facts VALUES ('lease_now_ms', ?)",
} as const;
type SqlName = keyof typeof sql;

function columns(heard: Heard<GameServerEvent> | undefined): [string | null, number | null] {
  return heard === undefined ? [null, null] : [JSON.stringify(heard.event), heard.heardMs];
}

function readGameServer(row: Row): GameServerRecord {
  const heard = (name: string): Heard<GameServerEvent> | undefined => {
    const event = row[name];
    if (typeof event !== 'string') return undefined;
    return { event: JSON.parse(event) as GameServerEvent, heardMs: Number(row[`${name}_ms`]) };
  };
  return {
    id: String(row['id']),
    living: heard('living'),
    lost: heard('lost'),
    terminated: heard('terminated'),
    seen: SequenceSet.parse(String(row['seen'])),
    seenLost: SequenceSet.parse(String(row['seen_lost'])),
  };
}
