import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

interface Limit {
  readonly soft: number;
  readonly hard: number;
}

/** Parses the line of `/proc/PID/limits`; a limit may be `unlimited`. */
export function parseOpenFiles(limits: string): Limit | undefined {
  const [, soft, hard] = /^Max open files\s+(\w+)\s+(\w+)/m.exec(limits) ?? [];
  if (soft === undefined || hard === undefined) return undefined;
  const numberOf = (text: string) => (text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text));
  return { soft: numberOf(soft), hard: numberOf(hard) };
}

/**
 * The soft limit on open files that this process was started with; undefined: it equals the present one, or is unknown.
 * Node raises its own to the hard limit before any of our code runs, and a child would inherit that. Our parent (tini,
 * a shell) still has the original limit, unless it changed both in between, which its hard limit shows.
 */
export function givenOpenFiles(ppid: number): number | undefined {
  const [own, parent] = [readLimit('self'), readLimit(String(ppid))];
  if (own === undefined || parent === undefined || parent.hard !== own.hard) return undefined;
  return parent.soft < own.soft ? parent.soft : undefined;
}

function readLimit(process: string): Limit | undefined {
  try {
    return parseOpenFiles(readFileSync(`/proc/${process}/limits`, 'utf8'));
  } catch {
    return undefined;
  }
}

const shell = '/bin/sh';

/**
 * Wraps the command so that a shell sets the soft limit and then becomes the program. Leaves the command unchanged if
 * the program cannot be found or run, or the image has no shell, so that its start fails or succeeds as before.
 */
export function withOpenFiles(
  command: string,
  args: readonly string[],
  limit: number | undefined,
  path = '',
): readonly [command: string, args: readonly string[]] {
  if (limit === undefined || !existsSync(shell) || !isProgram(command, path)) return [command, args];
  return [shell, ['-c', 'ulimit -Sn "$0"; exec "$@"', String(limit), command, ...args]];
}

function isProgram(command: string, path: string): boolean {
  const folders = command.includes('/') ? [''] : path.split(delimiter);
  return folders.some((folder) => isExecutable(join(folder, command)));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
