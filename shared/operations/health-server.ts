import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Backoff, backoffMs } from '../backoff.ts';
import type { Clock } from '../clock.ts';
import { errorText, type Log } from '../log.ts';

export interface HealthServerOptions {
  /** 0 takes a free one. */
  readonly port: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
  readonly liveness: () => HealthProblems;
  readonly readiness: () => HealthProblems;
  /** Worth knowing, and no reason to be unready. */
  readonly remarks: () => readonly string[];
  readonly random?: () => number;
}

/** Why a process is not well; empty where it is. */
export type HealthProblems = readonly string[];

const backoff: Backoff = { firstMs: 200, maxMs: 10_000 };
const maxConnections = 64;
const requestMs = 5000;

/**
 * Serves `/metrics`, `/livez` and `/readyz` until the signal aborts. With host networking the port is the node's: an
 * agent that is being replaced may still hold it, and games matter more than metrics, so a busy port is waited for and
 * ends nothing.
 */
export async function serveHealth(options: HealthServerOptions, signal: AbortSignal): Promise<void> {
  const { clock, log, port, random = Math.random } = options;
  const server = createServer({ requestTimeout: requestMs, headersTimeout: requestMs }, (request, response) => {
    answer(options, request, response).catch((error: unknown) => {
      log.warn({ err: errorText(error) }, 'Cannot answer a scrape');
      response.destroy();
    });
  });
  server.maxConnections = maxConnections;
  for (let failures = 0; !signal.aborted; ) {
    const error = await listen(server, port);
    if (error === undefined) break;
    failures++;
    if (failures === 1) log.warn({ port, err: error.message }, 'Cannot listen for metrics');
    await clock.sleep(backoffMs(backoff, failures, random), signal).catch(() => {});
  }
  if (signal.aborted) return;
  log.info({ port: (server.address() as AddressInfo).port }, 'Metrics listen');
  await new Promise<void>((resolve) => {
    const stop = () => {
      server.close(() => resolve());
      server.closeAllConnections();
    };
    signal.addEventListener('abort', stop, { once: true });
  });
}

async function listen(server: Server, port: number): Promise<Error | undefined> {
  const { promise, resolve } = Promise.withResolvers<Error | undefined>();
  server.once('error', resolve);
  server.listen(port, () => resolve(undefined));
  const error = await promise;
  server.removeAllListeners('error').removeAllListeners('listening');
  return error;
}

async function answer(options: HealthServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { metrics, liveness, readiness, remarks } = options;
  const path = request.url?.split('?', 1)[0];
  if (request.method !== 'GET' && request.method !== 'HEAD') send(response, 405, 'only GET\n');
  else if (path === '/livez') sendVerdict(response, liveness(), []);
  else if (path === '/readyz') sendVerdict(response, readiness(), remarks());
  else if (path === '/metrics') {
    const { contentType, body } = await metrics();
    response.writeHead(200, { 'content-type': contentType }).end(body);
  } else send(response, 404, '/metrics, /livez or /readyz\n');
}

function sendVerdict(response: ServerResponse, problems: HealthProblems, remarks: readonly string[]): void {
  const lines = [...(problems.length === 0 ? ['ok'] : problems), ...remarks];
  send(response, problems.length === 0 ? 200 : 503, `${lines.join('\n')}\n`);
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(body);
}
