import { createServer as createHttpServer, type Server as HttpServer, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Registry } from 'prom-client';
import { type Endpoint, formatEndpoint } from '../endpoint.ts';

export interface OperationsAnswers {
  readonly metrics: Registry;
  /** The reason in one line; undefined: ready. */
  readonly whyNotReady: () => string | undefined;
  /** Whether the process still makes progress. */
  readonly isLive: () => boolean;
  /** Response of `/status`. */
  readonly status: () => object;
}

const requestTimeoutMs = 5000;
const maxConnections = 64;

/** Serves `/livez`, `/readyz`, `/metrics` and `/status`. Rejects if the address cannot be bound. */
export async function startOperationsServer(listen: Endpoint, answers: OperationsAnswers): Promise<HttpServer> {
  const server = createHttpServer(
    { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs },
    (request, response) => {
      const path = (request.url ?? '/').split('?')[0];
      if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, 'use GET or HEAD\n');
      switch (path) {
        case '/livez':
          return answers.isLive() ? answer(response, 200, 'ok\n') : answer(response, 503, 'no progress\n');
        case '/readyz': {
          const why = answers.whyNotReady();
          return why === undefined ? answer(response, 200, 'ok\n') : answer(response, 503, `${why}\n`);
        }
        case '/metrics':
          return sendMetrics(response, answers.metrics);
        case '/status':
          return answer(response, 200, `${JSON.stringify(answers.status())}\n`, 'application/json');
        default:
          return answer(response, 404, 'try /livez, /readyz, /metrics or /status\n');
      }
    },
  );
  server.maxConnections = maxConnections;
  await listening(server, listen, 'http');
  return server;
}

/**
 * Accepts TCP connections while ready, for the TCP health check of a network load balancer. The port is closed
 * otherwise, because such a check counts any open port as healthy.
 */
export class TcpHealth {
  readonly #listen: Endpoint;
  #server: Server | undefined;

  constructor(listen: Endpoint) {
    this.#listen = listen;
  }

  /** The bound port; undefined while closed. */
  get port(): number | undefined {
    return (this.#server?.address() as AddressInfo | null | undefined)?.port;
  }

  async set(isReady: boolean): Promise<void> {
    if (isReady === (this.#server !== undefined)) return;
    if (!isReady) {
      const server = this.#server;
      this.#server = undefined;
      await new Promise((resolve) => server?.close(resolve));
      return;
    }
    const server = createServer((socket: Socket) => socket.on('error', () => {}).end());
    server.maxConnections = maxConnections;
    this.#server = server;
    try {
      await listening(server, this.#listen, 'tcp');
    } catch (error) {
      this.#server = undefined;
      throw error;
    }
  }
}

async function listening(server: Server, listen: Endpoint, what: string): Promise<void> {
  const ready = Promise.withResolvers<void>();
  server.once('error', ready.reject);
  server.listen(listen.port, listen.host, ready.resolve);
  try {
    await ready.promise;
  } catch (error) {
    throw new Error(`Cannot listen on ${what} ${formatEndpoint(listen)}`, { cause: error });
  }
  server.off('error', ready.reject);
  server.on('error', () => {});
}

function sendMetrics(response: ServerResponse, registry: Registry): void {
  registry.metrics().then(
    (text) => answer(response, 200, text, registry.contentType),
    () => answer(response, 500, 'cannot collect metrics\n'),
  );
}

function answer(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
