import type { AddressInfo, ListenOptions, Server } from 'node:net';

/**
 * Resolves with the bound port once the server listens; 0 for a socket without one. Rejects with the system's error.
 */
export async function listen(server: Server, options: ListenOptions): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.once('listening', resolve);
  server.listen(options);
  try {
    await promise;
  } finally {
    server.off('error', reject).off('listening', resolve);
  }
  const address = server.address() as AddressInfo | string | null;
  return typeof address === 'object' && address !== null ? address.port : 0;
}
