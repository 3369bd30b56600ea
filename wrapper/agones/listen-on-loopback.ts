import { once } from 'node:events';
import type { Server } from 'node:net';
import { listen } from '../../shared/listen.ts';
import { hasCode } from '../../shared/system-error.ts';

/** A port that is free on 127.0.0.1 may be taken on ::1; then try another. */
const maxAttempts = 10;
/** A long backlog keeps a burst of reconnecting watchers from waiting for a second SYN. */
const shared = { exclusive: true, backlog: 1024 };

/**
 * Listens on one free port of both loopback addresses: clients resolve `localhost` to either. Returns the port. Throws
 * an Error if there is none.
 */
export async function listenOnLoopback(ipv4: Server, ipv6: Server): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const port = await listen(ipv4, { ...shared, host: '127.0.0.1', port: 0 });
    try {
      await listen(ipv6, { ...shared, host: '::1', port });
      return port;
    } catch (error) {
      // Without IPv6 no client can connect over it either.
      if (hasCode(error, 'EADDRNOTAVAIL', 'EAFNOSUPPORT')) return port;
      if (attempt === maxAttempts || !hasCode(error, 'EADDRINUSE'))
        throw new Error(`Cannot listen on port ${port} of ::1`, { cause: error });
      ipv4.close();
      await once(ipv4, 'close');
    }
  }
}
