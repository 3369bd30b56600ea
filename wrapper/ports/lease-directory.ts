import { readdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { listen } from '../../shared/listen.ts';
import { errorText } from '../../shared/log.ts';
import { hasCode } from '../../shared/system-error.ts';
import type { PortLease, PortLeases } from './port-lease.ts';

/**
 * Leases as socket files in a directory that all wrappers of a node share, for runtimes without abstract sockets. A
 * file outlives its process, but then nothing answers on it. A PID in a lock file would not do, because pods have their
 * own PID namespaces.
 *
 * Each wrapper first listens on a file with a unique name, then looks for other files for the port. Of two that do so
 * at the same time at least one sees the other and steps back, so no port is ever leased twice, and files are removed
 * by name without a race.
 */
export function leaseDirectory(directory: string, random: () => number): PortLeases {
  return {
    async take(port) {
      const file = `${port}.${Math.floor(random() * 36 ** 8).toString(36)}.lease`;
      const server = await hold(join(directory, file));
      const release = () => new Promise<void>((released) => server.close(() => released()));
      const others = readdirSync(directory).filter((other) => other.startsWith(`${port}.`) && other !== file);
      const isHeld = await Promise.all(others.map((other) => isAnswered(join(directory, other))));
      if (!isHeld.includes(true)) return { port, release } satisfies PortLease;
      await release();
      return undefined;
    },
  };
}

async function hold(path: string): Promise<Server> {
  const server = createServer((stranger) => stranger.destroy());
  try {
    await listen(server, { path });
  } catch (error) {
    throw new FatalError(`Cannot lease a port in ${path}: ${errorText(error)}`, {
      status: exitStatus.cannotCreate,
      cause: error,
    });
  }
  return server.unref();
}

/** Removes the file of a wrapper that has ended. */
function isAnswered(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ path });
  socket.once('connect', () => resolve(true));
  socket.once('error', (error) => {
    if (hasCode(error, 'ECONNREFUSED')) rmSync(path, { force: true });
    // Any other error (a full backlog, missing rights) leaves the owner unknown: do not take the port.
    resolve(!hasCode(error, 'ECONNREFUSED', 'ENOENT'));
  });
  return promise.finally(() => socket.destroy());
}
