import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files through which the game learns what changes while it runs. */
export interface GameFiles {
  /** Does not exist until the end is known; then holds the instant in RFC 3339 and a line end. */
  readonly deadlineFile: string;
  /** JSON: what the wrapper knows of itself. */
  readonly stateFile: string;
  /** Does not exist while there is no session; then JSON: its id, and the pod's labels and annotations. */
  readonly sessionFile: string;
  writeDeadline(instant: string): void;
  withdrawDeadline(): void;
  writeState(state: object): void;
  writeSession(session: object): void;
  removeSession(): void;
  remove(): void;
}

/** Creates the folder in its parent, which has to be there. Throws where that fails. */
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

/** In one step, so that a game that watches the file never reads half of it. */
function replaceFile(path: string, content: string): void {
  const fresh = `${path}.new`;
  writeFileSync(fresh, content);
  renameSync(fresh, path);
}
