import { createServer } from 'node:net';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { listen } from '../../shared/listen.ts';
import { errorText } from '../../shared/log.ts';
import { hasCode } from '../../shared/system-error.ts';
import type { PortLeases } from './port-lease.ts';

/**
 * Leases as abstract Unix sockets. Their names belong to the network namespace, as ports do: every hostNetwork pod of a
 * node sees the same names, and the kernel frees them with their process, even after SIGKILL.
 */
export const abstractLeases: PortLeases = {
  async take(port) {
    const server = createServer((stranger) => stranger.destroy());
    try {
      await listen(server, { path: `\0spotable-port-${port}` });
    } catch (error) {
      if (hasCode(error, 'EADDRINUSE')) return undefined;
      throw new FatalError(
        `Cannot lease port ${port} by an abstract socket: ${errorText(error)}; --lease-dir does without`,
        { status: exitStatus.osError, cause: error },
      );
    }
    // The lease must not keep the process alive.
    server.unref();
    return { port, release: () => new Promise((released) => server.close(() => released())) };
  },
};
