import { createServer, type Server } from 'node:https';
import type { TlsOptions } from 'node:tls';
import { guard, type HttpHandler, type HttpServerOptions, serverLimits } from './http-server.ts';

/** Like `createHttpServer`, apart from it so that other processes load no TLS. A handshake may take `requestMs`. */
export function createHttpsServer(handle: HttpHandler, options: HttpServerOptions, tls: TlsOptions): Server {
  const limits = { ...serverLimits(options), handshakeTimeout: options.requestMs };
  return guard(createServer({ ...tls, ...limits }), handle, options);
}
