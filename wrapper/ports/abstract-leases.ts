import { createServer } from 'node:net';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { hasCode } from '../../shared/system-error.ts';
import type { PortLease, PortLeases } from './port-lease.ts';

/**
 * Leases as abstract Unix sockets. Their names belong to the network namespace, as ports do: every hostNetwork pod of a
 * node sees the same names, and the kernel frees them with their process, even after SIGKILL.
 */
export const abstractLeases: PortLeases = {
  async take(port) {
    const server = createServer((stranger) => stranger.destroy());
    const { promise, resolve, reject } = Promise.withResolvers<PortLease | undefined>();
    server.once('error', (error) => {
      if (hasCode(error, 'EADDRINUSE')) resolve(undefined);
      else
        reject(
          new FatalError(
            `Cannot lease port ${port} by an abstract socket: ${error.message}; --lease-dir does without`,
            { status: exitStatus.osError, cause: error },
          ),
        );
    });
    server.listen({ path: `\0spotable-port-${port}` }, () => {
      // The lease must not keep the process alive.
      server.unref();
      resolve({ port, release: () => new Promise((released) => server.close(() => released())) });
    });
    return promise;
  },
};
