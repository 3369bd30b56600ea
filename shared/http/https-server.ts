import { createServer, type Server } from 'node:https';
import type { TlsOptions } from 'node:tls';
import { guard, type HttpHandler, type HttpServerOptions, serverLimits } from './http-server.ts';

/** Like `createHttpServer`. A TLS handshake may take `requestMs`. In a file of its own: other processes do not load TLS. */
export function createHttpsServer(handle: HttpHandler, options: HttpServerOptions, tls: TlsOptions): Server {
  const limits = { ...serverLimits(options), handshakeTimeout: options.requestMs };
  return guard(createServer({ ...tls, ...limits }), handle, options);
}
