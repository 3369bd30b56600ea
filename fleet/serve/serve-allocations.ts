import type { Server } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Clock } from '../../shared/clock.ts';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { createHttpServer, type HttpHandler } from '../../shared/http/http-server.ts';
import { createHttpsServer } from '../../shared/http/https-server.ts';
import { isLoopback } from '../../shared/http/is-loopback.ts';
import { listen } from '../../shared/listen.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { readTlsFiles, type TlsMaterial, type TlsPlaces } from './tls-files.ts';

export interface ServeAllocationsOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly tls: TlsPlaces | undefined;
  readonly answer: HttpHandler;
  readonly clock: Clock;
  readonly log: Log;
}

const requestMs = 30_000;
/** More than the number of requests that may wait, each on a connection of its own. */
const maxConnections = 4096;
const lookAtFilesMs = 10_000;
/** Requests under way at shutdown get this long to finish. */
const finishMs = 5000;

/**
 * Serves until the signal aborts. Without a certificate it listens on loopback only, whatever address was asked for,
 * because anybody could allocate. Rejects with a FatalError if it cannot listen.
 */
export async function serveAllocations(options: ServeAllocationsOptions, signal: AbortSignal): Promise<void> {
  const { tls, log, port } = options;
  const material = tls && (await readMaterial(tls));
  const host = material === undefined && !isLoopback(options.host) ? '127.0.0.1' : options.host;
  const server = createServer(options, material);
  const boundPort = await listenOn(server, host, port);
  const authentication = material === undefined ? 'none' : material.ca === undefined ? 'server' : 'mutual';
  log.info({ host, port: boundPort, tls: authentication }, 'Allocations are served');
  if (host !== options.host) log.warn({ asked: options.host, host }, 'No certificate: loopback only');
  if (material !== undefined && tls !== undefined) void renew(server as HttpsServer, tls, material, options, signal);
  await new Promise<void>((resolve) => {
    const stop = () => {
      server.close(() => resolve());
      server.closeIdleConnections();
      setTimeout(() => server.closeAllConnections(), finishMs).unref();
    };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });
}

function createServer(
  { answer, log }: ServeAllocationsOptions,
  material: TlsMaterial | undefined,
): Server | HttpsServer {
  // A client that leaves in the middle of its request also ends up here.
  const onError = (error: unknown) => log.warn({ err: errorText(error) }, 'Cannot answer a request');
  const options = { maxConnections, requestMs, onError };
  if (material === undefined) return createHttpServer(answer, options);
  const isMutual = material.ca !== undefined;
  return createHttpsServer(answer, options, { ...material, requestCert: isMutual, rejectUnauthorized: isMutual });
}

async function readMaterial(places: TlsPlaces): Promise<TlsMaterial | undefined> {
  return readTlsFiles(places).catch((error: unknown) => {
    throw new FatalError(`Cannot read the TLS files: ${errorText(error)}`, { status: exitStatus.config, cause: error });
  });
}

/** Certificates are renewed while we run: later connections get the new one. */
async function renew(
  server: HttpsServer,
  places: TlsPlaces,
  first: TlsMaterial,
  { clock, log }: ServeAllocationsOptions,
  signal: AbortSignal,
): Promise<void> {
  for (let current = first; !signal.aborted; ) {
    await clock.sleep(lookAtFilesMs, signal).catch(() => {});
    if (signal.aborted) return;
    try {
      const next = await readTlsFiles(places);
      if (next === undefined || next.digest === current.digest) continue;
      server.setSecureContext(next);
      current = next;
      log.info({}, 'TLS files read again');
    } catch (error) {
      log.warn({ err: errorText(error) }, 'Cannot read the TLS files: the old ones stay');
    }
  }
}

async function listenOn(server: Server | HttpsServer, host: string, port: number): Promise<number> {
  return listen(server, { host, port }).catch((error: unknown) => {
    throw new FatalError(`Cannot serve allocations on ${host}:${port}: ${errorText(error)}`, {
      status: exitStatus.unavailable,
      cause: error,
    });
  });
}
