import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { errorText } from '../../shared/log.ts';
import { hasCode } from '../../shared/system-error.ts';
import { readableText } from './text-form.ts';

/** The game's own report in `--status-file`. */
export interface GameStatus {
  readonly players: number | null;
  /** undefined: the game does not report it. */
  readonly isAllocated: boolean | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

export const unsaidStatus: GameStatus = { players: null, isAllocated: undefined, labels: {} };

/** The labels are sent with every event, and SQS limits an event to 256 KiB. */
const maxFileBytes = 16_384;
const maxLabels = 32;

/**
 * Parses `{"players": 3, "allocated": true, "labels": {"map": "dm6"}}`; every name is optional. A string result says
 * what is wrong.
 */
export function parseStatusFile(content: string): GameStatus | string {
  let document: unknown;
  try {
    document = JSON.parse(content);
  } catch {
    return 'not JSON';
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return 'not an object';
  const { players = null, allocated, labels = {} } = document as Record<'players' | 'allocated' | 'labels', unknown>;
  if (players !== null && !(Number.isSafeInteger(players) && Number(players) >= 0)) return 'players is not a count';
  if (allocated !== undefined && typeof allocated !== 'boolean') return 'allocated is neither true nor false';
  if (typeof labels !== 'object' || labels === null || Array.isArray(labels)) return 'labels is not an object';
  const entries = Object.entries(labels);
  if (entries.length > maxLabels) return `labels has more than ${maxLabels} names`;
  if (!entries.every(([key, value]) => /^[\w./-]{1,63}$/.test(key) && typeof value === 'string' && value.length <= 256))
    return 'labels has a name that is no label, or a value that is no text of at most 256 characters';
  return {
    players: players === null ? null : Number(players),
    isAllocated: allocated,
    labels: labels as Record<string, string>,
  };
}

/** Reads the file again when it has changed. */
export class StatusFile {
  readonly #path: string;
  #seen = '';

  constructor(path: string) {
    this.#path = path;
  }

  /** A string says once why the file is unusable. undefined: the file has not changed, or does not exist (yet). */
  readIfChanged(): GameStatus | string | undefined {
    try {
      return this.#read();
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      return this.#isNews(errorText(error)) ? errorText(error) : undefined;
    }
  }

  #read(): GameStatus | string | undefined {
    // Open without blocking: a pipe without a writer would block for ever.
    const file = openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const found = fstatSync(file);
      const isFile = found.isFile();
      if (!this.#isNews(isFile ? `${found.mtimeMs} ${found.ino} ${found.size}` : 'no file')) return undefined;
      if (!isFile) return 'not a regular file';
      if (found.size > maxFileBytes) return `larger than ${maxFileBytes} bytes`;
      const bytes = Buffer.alloc(maxFileBytes);
      const content = readableText(bytes.subarray(0, readSync(file, bytes)));
      return content === undefined ? 'UTF-32' : parseStatusFile(content);
    } finally {
      closeSync(file);
    }
  }

  #isNews(seen: string): boolean {
    const isNews = seen !== this.#seen;
    this.#seen = seen;
    return isNews;
  }
}
