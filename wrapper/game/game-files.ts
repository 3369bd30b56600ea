import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files through which the game learns of changes while it runs. */
export interface GameFiles {
  /** Absent until the end is known; then holds the instant in RFC 3339 and a newline. */
  readonly deadlineFile: string;
  /** JSON with the wrapper's state. */
  readonly stateFile: string;
  /** Absent without a session; then JSON: its id, and the pod's labels and annotations. */
  readonly sessionFile: string;
  writeDeadline(instant: string): void;
  withdrawDeadline(): void;
  writeState(state: object): void;
  writeSession(session: object): void;
  removeSession(): void;
  remove(): void;
}

/** Creates the folder in its parent, which has to exist. Throws if that fails. */
export function createGameFiles(parent: string, gameServerId: string): GameFiles {
  const folder = join(parent, `spotable-${gameServerId}`);
  mkdirSync(folder, { mode: 0o755 });
  const deadlineFile = join(folder, 'deadline');
  const stateFile = join(folder, 'state.json');
  const sessionFile = join(folder, 'session.json');
  return {
    deadlineFile,
    stateFile,
    sessionFile,
    writeDeadline: (instant) => replaceFile(deadlineFile, `${instant}\n`),
    withdrawDeadline: () => rmSync(deadlineFile, { force: true }),
    writeState: (state) => replaceFile(stateFile, `${JSON.stringify(state)}\n`),
    writeSession: (session) => replaceFile(sessionFile, `${JSON.stringify(session)}\n`),
    removeSession: () => rmSync(sessionFile, { force: true }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Replace in one step, so that a game that watches the file never reads half of it. */
function replaceFile(path: string, content: string): void {
  const fresh = `${path}.new`;
  writeFileSync(fresh, content);
  renameSync(fresh, path);
}
