import type { DatabaseSync } from 'node:sqlite';

/** Increase it when the tables change: a file of another version is refused rather than misread. */
const layoutVersion = 1;

const tables = `
  CREATE TABLE game_servers (
    id TEXT PRIMARY KEY, living TEXT, living_ms INTEGER, lost TEXT, lost_ms INTEGER, terminated TEXT, terminated_ms INTEGER,
    seen TEXT NOT NULL, seen_lost TEXT NOT NULL
  ) STRICT;
  CREATE TABLE nodes (key TEXT PRIMARY KEY, event TEXT NOT NULL, heard_ms INTEGER NOT NULL, ids TEXT NOT NULL) STRICT;
  CREATE TABLE set_aside (
    position INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, message_id TEXT NOT NULL, code TEXT NOT NULL,
    reason TEXT NOT NULL, body TEXT NOT NULL
  ) STRICT;
  CREATE TABLE timeline (position INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL) STRICT;
  CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
  CREATE TABLE facts (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT;
`;

/**
 * Creates the tables of a new file, or checks those of an old one. Throws an Error if the file is in use, of another
 * version, or of another queue, because the events of two queues cannot share a table.
 */
export function layOut(database: DatabaseSync, queueUrl: string): void {
  // EXCLUSIVE: a second reader would bypass the first one's memory. WAL with FULL: a commit is on the disk, not only in
  // its cache, before its messages are deleted from the queue.
  database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (version === 0) {
    database.exec(`BEGIN IMMEDIATE; ${tables} PRAGMA user_version = ${layoutVersion};`);
    database.prepare("INSERT INTO facts VALUES ('queue_url', ?)").run(queueUrl);
    database.exec('COMMIT');
    return;
  }
  if (version !== layoutVersion) throw new Error(`it has layout ${version}, expected ${layoutVersion}`);
  // Takes the lock now; reading alone would leave it to the first write.
  database.exec('BEGIN IMMEDIATE; COMMIT');
  const known = database.prepare("SELECT value FROM facts WHERE name = 'queue_url'").get()?.['value'];
  if (known !== queueUrl) throw new Error(`it belongs to queue ${known}`);
}
