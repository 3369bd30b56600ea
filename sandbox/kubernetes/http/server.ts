import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerJson, type Faults, serveFaultControl } from '../../faults.ts';
import { type Authentication, authenticate } from '../access/authenticate.ts';
import type { User } from '../access/user.ts';
import { type Answer, refusalOf, sendAnswer } from './answer.ts';
import { overloaded, type RateLimiter } from './rate-limit.ts';
import { type Arrival, type Routing, route } from './router.ts';
import { prepareWatch, type WatchTimers } from './watch.ts';

export interface RequestRecord {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Empty if a fault or the rate limit answered before authentication. */
  readonly user: string;
  /** 0: a fault left the request without an answer. */
  readonly status: number;
  readonly atMs: number;
  /** Time until the answer was written; for a watch, until it began. */
  readonly durationMs: number;
}

export interface Call {
  readonly method: string;
  readonly path: string;
}

export interface Serving extends Routing {
  readonly authentication: Authentication;
  readonly faults: Faults;
  readonly limiter?: RateLimiter;
  readonly latencyMs: (call: Call) => number;
  readonly watchTimers: WatchTimers;
  /** The last ones, oldest first. */
  readonly requests: RequestRecord[];
}

const maxRequestRecords = 10_000;

/** Every answer of a real API server has these headers. */
const commonHeaders = {
  'cache-control': 'no-cache, private',
  'x-kubernetes-pf-flowschema-uid': '00000000-0000-4000-8000-000000000001',
  'x-kubernetes-pf-prioritylevel-uid': '00000000-0000-4000-8000-000000000002',
};

/** Not listening yet. `watches` holds the functions that end the open watches. */
export function createApiHttpServer(serving: Serving, watches: Set<() => void>): Server {
  return createServer((request, response) => {
    handle(serving, watches, request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else sendAnswer(response, refusalOf(error));
    });
  });
}

async function handle(
  serving: Serving,
  watches: Set<() => void>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (await serveFaultControl(serving.faults, request, response)) return;
  if (serveControl(serving, request, response)) return;
  const startedMs = performance.now();
  const { method = 'GET', url = '/' } = request;
  let user: User | undefined;
  const record = (status: number): void => {
    const durationMs = performance.now() - startedMs;
    if (serving.requests.length >= maxRequestRecords) serving.requests.shift();
    serving.requests.push({ method, path: url, user: user?.name ?? '', status, atMs: Date.now(), durationMs });
  };
  if (await serving.faults.apply(request, response)) return record(response.headersSent ? response.statusCode : 0);
  for (const [name, value] of Object.entries(commonHeaders)) response.setHeader(name, value);
  response.setHeader('audit-id', randomUUID());
  if (serving.limiter?.admit() === false) return finish(request, response, overloaded, record);
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  try {
    const latencyMs = serving.latencyMs({ method, path: url });
    if (latencyMs > 0) await sleep(latencyMs, undefined, { signal: gone.signal });
    user = authenticate(serving.authentication, request.headers.authorization);
    const arrival = { request, method, user, signal: gone.signal, ...locate(url) };
    await respond(serving, watches, arrival, response, record);
  } catch (error) {
    if (gone.signal.aborted) return record(0);
    finish(request, response, refusalOf(error), record);
  }
}

/** For scripts that run the double as a separate process. */
function serveControl(
  { registry, requests }: Serving,
  { method, url }: IncomingMessage,
  response: ServerResponse,
): boolean {
  if (method === 'GET' && url === '/sandbox/requests') {
    answerJson(response, 200, requests);
    return true;
  }
  if (method !== 'DELETE' || url !== '/sandbox/history') return false;
  registry.store.forgetHistory();
  answerJson(response, 204);
  return true;
}

function locate(url: string): Pick<Arrival, 'path' | 'query'> {
  const [path = '/', ...query] = url.split('?');
  return { path, query: new URLSearchParams(query.join('?')) };
}

async function respond(
  serving: Serving,
  watches: Set<() => void>,
  arrival: Arrival,
  response: ServerResponse,
  record: (status: number) => void,
): Promise<void> {
  const routed = await route(serving, arrival);
  if (routed.kind === 'answer') return finish(arrival.request, response, routed.answer, record);
  const begin = prepareWatch(serving.registry.store, routed.watch, serving.watchTimers);
  const end = begin(response);
  watches.add(end);
  response.once('close', () => watches.delete(end));
  record(200);
}

function finish(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  record: (status: number) => void,
): void {
  // An unread body would be parsed as the next request on this connection.
  if (!request.complete) response.setHeader('connection', 'close');
  record(answer.status);
  sendAnswer(response, answer);
}
