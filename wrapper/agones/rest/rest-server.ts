import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { createHttpServer } from '../../../shared/http/http-server.ts';
import type { Log } from '../../../shared/log.ts';
import { listenOnLoopback } from '../listen-on-loopback.ts';
import type { SdkCall } from '../model/sdk-call.ts';
import { Fields } from '../protocol/fields.ts';
import {
  firstByteLimitMs,
  maxConnections,
  refusedLingerMs,
  type SdkEndpoint,
  type SdkListener,
} from '../sdk-endpoint.ts';
import { codes, httpStatusOf, type SdkError } from '../sdk-error.ts';
import { findRoute, type Route } from './find-route.ts';
import { BodyReader, maxBodyBytes, parseBody } from './read-body.ts';

/** Limit from a request's first byte to its last: a request is a few hundred bytes from the same machine. */
const requestLimitMs = 10_000;
/** Long enough that a client can keep its connection for the next Health(). */
const idleLimitMs = 75_000;
/**
 * Limit for unanswered requests on one connection. Node parses a whole chunk at once, which may hold hundreds, and
 * would keep every answer for a client that does not read.
 */
const maxUnanswered = 16;

export interface RestServerOptions {
  readonly endpoint: SdkEndpoint;
  readonly log: Log;
}

/** Serves the SDK as Agones' gateway does: REST, watches as lines of JSON, and the same watch as a WebSocket. */
export async function startRestServer(options: RestServerOptions): Promise<SdkListener> {
  const shell = new RestShell(options);
  const servers = [shell.createServer(), shell.createServer()] as const;
  const port = await listenOnLoopback(...servers);
  return {
    port,
    close() {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
      shell.close();
    },
  };
}

class RestShell {
  readonly #endpoint: SdkEndpoint;
  readonly #log: Log;
  readonly #bodies = new BodyReader();
  /** Whether the game owns a connection. */
  readonly #verdicts = new WeakMap<Socket, Promise<boolean>>();
  readonly #upgraded = new Set<Socket>();
  readonly #unanswered = new WeakMap<Socket, number>();

  constructor({ endpoint, log }: RestServerOptions) {
    this.#endpoint = endpoint;
    this.#log = log;
  }

  createServer(): Server {
    const server = createHttpServer(
      async (request, response) => {
        if (this.#isGreedy(request, response)) request.socket.destroy();
        else await this.#serve(request, response).catch((err) => this.#fail(request, response, err));
      },
      {
        maxConnections,
        headersMs: firstByteLimitMs,
        requestMs: requestLimitMs,
        idleMs: idleLimitMs,
        takesUpgrade: isWatchByWebSocket,
        onError: (err) => this.#log.error({ err }, 'SDK call failed'),
      },
    );
    server.on('connection', (socket: Socket) => this.#verify(socket));
    server.on('upgrade', (request, socket: Socket, head: Buffer) => {
      this.#upgrade(request, socket, head).catch((err) => {
        this.#log.warn({ err }, 'Cannot open a WebSocket');
        socket.destroy();
      });
    });
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => answerBadRequest(error, socket));
    return server;
  }

  #isGreedy({ socket }: IncomingMessage, response: ServerResponse): boolean {
    const count = (difference: number) => {
      const unanswered = (this.#unanswered.get(socket) ?? 0) + difference;
      this.#unanswered.set(socket, unanswered);
      return unanswered;
    };
    response.once('close', () => count(-1));
    return count(1) > maxUnanswered;
  }

  close(): void {
    for (const socket of this.#upgraded) socket.destroy();
  }

  #verify(socket: Socket): void {
    const { remoteAddress: address = '', remotePort: port = 0, localPort = 0 } = socket;
    const verdict = this.#endpoint.isOwn({ address, port, localPort });
    this.#verdicts.set(socket, verdict);
    void verdict.then((isOwn) => {
      if (!isOwn) socket.setTimeout(refusedLingerMs, () => socket.destroy());
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if ((await this.#verdicts.get(request.socket)) !== true) {
      response.setHeader('connection', 'close');
      return answerError(response, stranger);
    }
    const route = findRoute(request.method ?? '', request.url ?? '');
    if ('code' in route) return answerError(response, route);
    const body = await this.#bodies.read(request);
    // Drop the rest of the request, until Node's own limit for a request.
    request.resume();
    if (body === 'too-long') return answerError(response, tooLong, 413);
    if (body === 'too-busy') return answerError(response, tooBusy);
    if (route.method.kind === 'watch') return this.#watch(response);
    // Agones has the same guard against a probe that sends Health() by mistake.
    if (route.method.kind === 'health' && body.length === 0) return void response.writeHead(400).end();
    const call = readCall(route, body);
    if ('code' in call) return answerError(response, call);
    const answer = this.#endpoint.call(call);
    if ('error' in answer) return answerError(response, answer.error);
    answerJson(response, 200, answer.reply);
  }

  #watch(response: ServerResponse): void {
    const watch = this.#endpoint.watch({
      write: (snapshot) => {
        if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/json' });
        return response.write(snapshot.line);
      },
      close: (error) => (error === undefined ? response.end() : response.destroy(error)),
    });
    if (watch === undefined) {
      answerError(response, tooManyWatchers);
      return;
    }
    response.on('error', () => {});
    response.on('drain', () => watch.resume());
    response.on('close', () => watch.stop());
  }

  async #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    // Without a listener an error before the WebSocket exists would end the process.
    socket.on('error', () => {});
    this.#upgraded.add(socket);
    socket.on('close', () => this.#upgraded.delete(socket));
    const isOwn = (await this.#verdicts.get(socket)) === true;
    if (!isOwn) return answerRaw(socket, stranger);
    // Load for the first WebSocket: only Unreal uses one.
    const { watchByWebSocket } = await import('./web-socket-watch.ts');
    if (!socket.destroyed) watchByWebSocket({ request, socket, head, endpoint: this.#endpoint });
  }

  #fail(request: IncomingMessage, response: ServerResponse, err: unknown): void {
    // A client that left in the middle of its body is no failure of ours.
    if (request.socket.destroyed || response.writableEnded) return;
    this.#log.error({ err, target: request.url }, 'SDK call failed');
    if (response.headersSent) response.destroy();
    else answerError(response, { code: codes.internal, message: 'the wrapper failed; see its log' });
  }
}

const stranger: SdkError = {
  code: codes.permissionDenied,
  message: 'only the game of this wrapper may call its SDK server (see --sdk-open)',
};
const tooLong: SdkError = {
  code: codes.resourceExhausted,
  message: `the body is longer than ${maxBodyBytes} bytes`,
};
const tooBusy: SdkError = { code: codes.resourceExhausted, message: 'too many large bodies at a time' };
const tooManyWatchers: SdkError = { code: codes.resourceExhausted, message: 'too many watchers' };

/** WebSocket for a watch is the only protocol that we upgrade to. */
function isWatchByWebSocket({ method, url, headers }: IncomingMessage): boolean {
  const route = findRoute(method ?? '', url ?? '');
  return 'method' in route && route.method.kind === 'watch' && headers.upgrade?.toLowerCase() === 'websocket';
}

function readCall({ method, fields }: Route, body: Buffer): SdkCall | SdkError {
  const message = parseBody(body);
  if (typeof message === 'string') return { code: codes.invalidArgument, message };
  const reader = new Fields({ ...(method.complete?.({ ...message, ...fields }) ?? message), ...fields });
  const call = method.read(reader);
  return reader.problem === undefined ? call : { code: codes.invalidArgument, message: reader.problem };
}

function answerError(response: ServerResponse, error: SdkError, status: number = httpStatusOf(error.code)): void {
  answerJson(response, status, { ...error, details: [] });
}

function answerJson(response: ServerResponse, status: number, message: object): void {
  const body = Buffer.from(JSON.stringify(message));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
}

/** A refused upgrade has no response object. */
function answerRaw(socket: Socket, error: SdkError): void {
  const body = JSON.stringify({ ...error, details: [] });
  socket.end(
    `HTTP/1.1 ${httpStatusOf(error.code)} Refused\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

const requestFaults: Readonly<Record<string, readonly [status: number, text: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'the headers are too long'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request took too long'],
};

/** The client sent no valid HTTP, or never finished its request. */
function answerBadRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  const [status, message] = requestFaults[error.code ?? ''] ?? [400, 'the request is not HTTP/1.1'];
  const body = JSON.stringify({ code: codes.invalidArgument, message, details: [] });
  socket.end(
    `HTTP/1.1 ${status} Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
