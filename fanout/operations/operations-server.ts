import type { Server as HttpServer, ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Registry } from 'prom-client';
import { createHttpServer } from '../../shared/http/http-server.ts';
import { listen } from '../../shared/listen.ts';
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

const requestMs = 5000;
const maxConnections = 64;

/** Serves `/livez`, `/readyz`, `/metrics` and `/status`. Rejects if the address cannot be bound. */
export async function startOperationsServer(address: Endpoint, answers: OperationsAnswers): Promise<HttpServer> {
  const server = createHttpServer(
    async (request, response) => {
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
          return answer(response, 200, await answers.metrics.metrics(), answers.metrics.contentType);
        case '/status':
          return answer(response, 200, `${JSON.stringify(answers.status())}\n`, 'application/json');
        default:
          return answer(response, 404, 'try /livez, /readyz, /metrics or /status\n');
      }
    },
    { maxConnections, requestMs, onError: () => {} },
  );
  await listenOn(server, address, 'http');
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
      await listenOn(server, this.#listen, 'tcp');
    } catch (error) {
      this.#server = undefined;
      throw error;
    }
  }
}

async function listenOn(server: Server, { host, port }: Endpoint, what: string): Promise<void> {
  try {
    await listen(server, { host, port });
  } catch (error) {
    throw new Error(`Cannot listen on ${what} ${formatEndpoint({ host, port })}`, { cause: error });
  }
  server.on('error', () => {});
}

function answer(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
