import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../clock.ts';
import { closeHttpServer, createHttpServer } from '../http/http-server.ts';
import { listen } from '../listen.ts';
import { errorText, type Log } from '../log.ts';
import { type Backoff, retry } from '../retry.ts';
import { aborted } from '../until-aborted.ts';

export interface HealthServerOptions {
  /** 0: any free port. */
  readonly port: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
  readonly liveness: () => HealthProblems;
  readonly readiness: () => HealthProblems;
  /** Worth knowing, but no reason to be unready. */
  readonly remarks: () => readonly string[];
  readonly random?: () => number;
}

/** Why a process is unhealthy; empty: healthy. */
export type HealthProblems = readonly string[];

const backoff: Backoff = { firstMs: 200, maxMs: 10_000 };
const maxConnections = 64;
const requestMs = 5000;

/**
 * Serves `/metrics`, `/livez` and `/readyz` until the signal aborts. With host networking the port is the node's, and
 * an agent that is being replaced may still hold it. Games matter more than metrics, so a busy port is retried and ends
 * nothing.
 */
export async function serveHealth(options: HealthServerOptions, signal: AbortSignal): Promise<void> {
  const { clock, log, port, random } = options;
  const server = createHttpServer((request, response) => answer(options, request, response), {
    maxConnections,
    requestMs,
    onError: (error) => log.warn({ err: errorText(error) }, 'Cannot serve metrics or health request'),
  });
  const onFailure = (error: unknown, failures: number) => {
    if (failures === 1) log.warn({ port, err: errorText(error) }, 'Cannot listen for metrics');
  };
  try {
    const bound = await retry(() => listen(server, { port }), { backoff, clock, random, onFailure }, signal);
    log.info({ port: bound }, 'Metrics server listening');
  } catch {
    return;
  }
  await aborted(signal);
  await closeHttpServer(server);
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
