import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface HttpServerOptions {
  /** Maximum number of concurrent connections. */
  readonly maxConnections: number;
  /** Time from the connection, or from a request's first byte, to the end of the request. */
  readonly requestMs: number;
  /** An idle connection is closed after this long. */
  readonly idleMs?: number;
  /**
   * Decides which upgrade offers to accept; a listener for `upgrade` handles them. All others are handled as plain
   * requests (RFC 9110, 7.8).
   */
  readonly takesUpgrade?: NonNullable<ServerOptions['shouldUpgradeCallback']>;
  /** Called with the handler's error. The request gets a 500, or its connection is closed. */
  readonly onError: (error: unknown) => void;
}

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Node enforces its time limits only every 30 s by default. */
const checkEveryMs = 1000;

/**
 * A server that stays responsive: neither silent connections nor endless requests can block it. It does not listen yet.
 */
export function createHttpServer(handle: HttpHandler, options: HttpServerOptions): Server {
  const { maxConnections, requestMs, idleMs = requestMs, takesUpgrade = () => false, onError } = options;
  const server = createServer(
    {
      requestTimeout: requestMs,
      headersTimeout: requestMs,
      keepAliveTimeout: idleMs,
      connectionsCheckingInterval: Math.min(checkEveryMs, requestMs),
      shouldUpgradeCallback: takesUpgrade,
    },
    async (request, response) => {
      try {
        await handle(request, response);
      } catch (error) {
        onError(error);
        if (response.headersSent) response.destroy();
        else response.writeHead(500).end();
      }
    },
  );
  boundConnections(server, maxConnections);
  return server;
}

/**
 * Beyond the limit, closes the connection that has waited longest for its request. Node's own limit would refuse the
 * newest connection, which is the one with a request.
 */
function boundConnections(server: Server, maxConnections: number): void {
  const waiting = new Set<Socket>();
  let open = 0;
  server.on('connection', (socket) => {
    open++;
    waiting.add(socket);
    socket.once('close', () => {
      open--;
      waiting.delete(socket);
    });
    if (open > maxConnections) [...waiting][0]?.destroy();
  });
  server.on('request', ({ socket }, response) => {
    waiting.delete(socket);
    response.once('close', () => {
      if (!socket.destroyed) waiting.add(socket);
    });
  });
}

/** Resolves when the port is free and every connection is closed. */
export async function closeHttpServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // Only after listening stopped: clients reconnect at once.
  server.closeAllConnections();
  await closed;
}
