import { readFileSync } from 'node:fs';

/** The usual soft limit, if the system reports none. */
const usualLimit = 1024;

/**
 * Maximum number of files and sockets of this process (RLIMIT_NOFILE; Node raises it to the hard limit at its start).
 */
export function descriptorLimit(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? usualLimit : Number(soft);
  } catch {
    return usualLimit;
  }
}
