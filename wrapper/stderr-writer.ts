import { constants, fstatSync, openSync, writeSync } from 'node:fs';

const stderr = 2;

/**
 * Writes lines to stderr without ever waiting for whoever reads it: a log collector that hangs must not keep the game alive past its
 * deadline. `process.stderr` is no way: it makes the descriptor non-blocking, which the game shares, and games then lose output. Opening
 * the pipe or terminal again gives us one with settings of its own.
 */
export function stderrWriter(): (line: string) => void {
  const descriptor = openAgain();
  return (line) => {
    try {
      writeSync(descriptor, line);
    } catch {
      // Full (EAGAIN) or closed: a log line is not worth a game.
    }
  };
}

function openAgain(): number {
  try {
    const found = fstatSync(stderr);
    // A regular file never blocks, and a second opening would have a position of its own.
    if (!found.isFIFO() && !found.isCharacterDevice()) return stderr;
    return openSync('/proc/self/fd/2', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return stderr;
  }
}
