import { readFileSync, statSync } from 'node:fs';

/** What a game says of itself through `--status-file`. */
export interface GameStatus {
  readonly players: number | null;
  /** undefined: it says nothing of it. */
  readonly isAllocated: boolean | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

export const unsaidStatus: GameStatus = { players: null, isAllocated: undefined, labels: {} };

/** The labels travel with every event, of which SQS takes 256 KiB. */
const longestFileBytes = 16_384;
const mostLabels = 32;

/** Reads `{"players": 3, "allocated": true, "labels": {"map": "dm6"}}`; every name may be left out. A text says what is wrong. */
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
  if (entries.length > mostLabels) return `labels has more than ${mostLabels} names`;
  if (!entries.every(([key, value]) => /^[\w./-]{1,63}$/.test(key) && typeof value === 'string' && value.length <= 256))
    return 'labels has a name that is no label, or a value that is no text of at most 256 characters';
  return {
    players: players === null ? null : Number(players),
    isAllocated: allocated,
    labels: labels as Record<string, string>,
  };
}

/** Reads the file again when it has changed. undefined: it has not, or is not there (yet). */
export class StatusFile {
  readonly #path: string;
  #seen = '';

  constructor(path: string) {
    this.#path = path;
  }

  readIfChanged(): GameStatus | string | undefined {
    const found = statSync(this.#path, { throwIfNoEntry: false });
    if (found === undefined) return undefined;
    const version = `${found.mtimeMs} ${found.ino} ${found.size}`;
    if (version === this.#seen) return undefined;
    this.#seen = version;
    if (found.size > longestFileBytes) return `larger than ${longestFileBytes} bytes`;
    return parseStatusFile(readFileSync(this.#path, 'utf8'));
  }
}
