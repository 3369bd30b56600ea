import { createServer as createHttpServer, type Server as HttpServer, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type Endpoint, formatEndpoint } from '../endpoint.ts';

export interface OperationsAnswers {
  readonly metrics: () => string;
  /** undefined: ready; otherwise why not, in one line. */
  readonly whyNotReady: () => string | undefined;
  /** Whether the process still makes progress. */
  readonly isLive: () => boolean;
  /** The replicas and figures as one JSON object. */
  readonly status: () => object;
}

/** A request that has not ended by then is a scraper's fault. */
const requestTimeoutMs = 5000;
const maxConnections = 64;

/** Serves `/livez`, `/readyz`, `/metrics` and `/status`. Rejects where the address cannot be had. */
export async function startOperationsServer(listen: Endpoint, answers: OperationsAnswers): Promise<HttpServer> {
  const server = createHttpServer(
    { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs },
    (request, response) => {
      const path = (request.url ?? '/').split('?')[0];
      if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, 'only GET and HEAD\n');
      switch (path) {
        case '/livez':
          return answers.isLive() ? answer(response, 200, 'ok\n') : answer(response, 503, 'no progress\n');
        case '/readyz': {
          const why = answers.whyNotReady();
          return why === undefined ? answer(response, 200, 'ok\n') : answer(response, 503, `${why}\n`);
        }
        case '/metrics':
          return answer(response, 200, answers.metrics(), 'text/plain; version=0.0.4; charset=utf-8');
        case '/status':
          return answer(response, 200, `${JSON.stringify(answers.status())}\n`, 'application/json');
        default:
          return answer(response, 404, 'expected /livez, /readyz, /metrics or /status\n');
      }
    },
  );
  server.maxConnections = maxConnections;
  await listening(server, listen, 'http');
  return server;
}

/**
 * Accepts and closes TCP connections while ready: what a network load balancer's TCP health check asks. Not ready, the port is
 * closed, because such a check takes an open port for health.
 */
export class TcpHealth {
  readonly #listen: Endpoint;
  #server: Server | undefined;

  constructor(listen: Endpoint) {
    this.#listen = listen;
  }

  /** The bound port while open. */
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

function answer(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
