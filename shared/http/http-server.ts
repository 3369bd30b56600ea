import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';

export interface HttpServerOptions {
  /** Maximum number of concurrent connections. */
  readonly maxConnections: number;
  /** Time from the connection, or from a request's first byte, to the end of the request. */
  readonly requestMs: number;
  /** Time to the end of the request's headers; default: `requestMs`. */
  readonly headersMs?: number;
  /** An idle connection is closed after this long. */
  readonly idleMs?: number;
  /**
   * Decides which upgrade offers to accept; a listener for `upgrade` handles them. All others are handled as plain
   * requests (RFC 9110, 7.8): Java's client offers h2c with each request.
   */
  readonly takesUpgrade?: NonNullable<ServerOptions['shouldUpgradeCallback']>;
  /** Called with the handler's error. The request gets a 500, or its connection is closed. */
  readonly onError: (error: unknown) => void;
}

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/**
 * A server that stays responsive: neither silent connections nor endless requests can block it. It does not listen yet.
 */
export function createHttpServer(handle: HttpHandler, options: HttpServerOptions): Server {
  return guard(createServer(serverLimits(options)), handle, options);
}

/** The limits that Node enforces itself. */
export function serverLimits(options: HttpServerOptions): ServerOptions {
  const { requestMs, headersMs = requestMs, idleMs = requestMs, takesUpgrade = () => false } = options;
  return {
    requestTimeout: requestMs,
    headersTimeout: headersMs,
    keepAliveTimeout: idleMs,
    // Node enforces its time limits only every 30 s by default.
    connectionsCheckingInterval: Math.min(headersMs, requestMs) / 2,
    shouldUpgradeCallback: takesUpgrade,
  };
}

/** Connects the handler to the server, and limits its connections. */
export function guard<AnyServer extends Server | HttpsServer>(
  server: AnyServer,
  handle: HttpHandler,
  { maxConnections, onError }: HttpServerOptions,
): AnyServer {
  boundConnections(server, maxConnections);
  server.on('request', async (request, response) => {
    try {
      await handle(request, response);
    } catch (error) {
      onError(error);
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end();
    }
  });
  return server;
}

/**
 * Beyond the limit, closes the connection that has waited longest for its request. Node's own limit would refuse the
 * newest connection, which is the one with a request.
 */
function boundConnections(server: Server | HttpsServer, maxConnections: number): void {
  const waiting = new Map<string, Socket>();
  let open = 0;
  server.on('connection', (socket: Socket) => {
    const peer = peerOf(socket);
    open++;
    waiting.set(peer, socket);
    socket.once('close', () => {
      open--;
      waiting.delete(peer);
    });
    if (open > maxConnections) waiting.values().next().value?.destroy();
  });
  server.on('request', ({ socket }, response) => {
    const peer = peerOf(socket);
    waiting.delete(peer);
    response.once('close', () => {
      if (!socket.destroyed) waiting.set(peer, socket);
    });
  });
  server.on('upgrade', ({ socket }) => waiting.delete(peerOf(socket)));
}

/** Equal for a TLS connection and the TCP connection under it. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Resolves when the port is free and every connection is closed. */
export async function closeHttpServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // Only after listening stopped: clients reconnect at once.
  server.closeAllConnections();
  await closed;
}
