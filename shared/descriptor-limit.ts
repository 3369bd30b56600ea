import { readFileSync } from 'node:fs';

/** What POSIX promises nearly everywhere, for a system that does not say. */
const usualLimit = 1024;

/** How many files and sockets this process may have open (RLIMIT_NOFILE; Node raises it to the hard limit when it starts). */
export function descriptorLimit(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? usualLimit : Number(soft);
  } catch {
    return usualLimit;
  }
}
