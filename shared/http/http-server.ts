import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface HttpServerOptions {
  /** At the same time. */
  readonly maxConnections: number;
  /** From a connection, or from a request's first byte, to the end of the request. */
  readonly requestMs: number;
  /** A connection that waits for its next request is closed after this long. */
  readonly idleMs?: number;
  /**
   * Which offers to upgrade are taken, by a listener for `upgrade`. All others are answered as if they had not been
   * made (RFC 9110, 7.8).
   */
  readonly takesUpgrade?: NonNullable<ServerOptions['shouldUpgradeCallback']>;
  /** Hears what the handler throws; the request is answered with 500, or its connection is closed. */
  readonly onError: (error: unknown) => void;
}

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Node looks only every 30 s by default, whatever the limits say. */
const checkEveryMs = 1000;

/**
 * A server that nobody can keep from answering: neither by connections that say nothing, nor by requests that do not
 * end. Not listening yet.
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
 * Past the limit the connection goes that has waited longest for its request. Node's own limit would refuse the newest:
 * the one that has one.
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
  // After it has stopped to listen: clients come back at once.
  server.closeAllConnections();
  await closed;
}
