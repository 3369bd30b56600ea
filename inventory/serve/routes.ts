import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import type { InventoryView } from '../fold/inventory-view.ts';
import type { SetAside } from '../store/inventory-store.ts';
import type { Timeline } from '../timeline.ts';
import { type EventStream, maxStreamClients } from './event-stream.ts';
import { readGameServerQuery, selectRows } from './game-server-query.ts';
import type { PageAsset } from './page-assets.ts';

export interface Served {
  readonly view: InventoryView;
  readonly timeline: Timeline;
  /** The newest messages that were set aside, newest first. */
  readonly setAside: (limit: number) => readonly SetAside[];
  readonly stream: EventStream;
  readonly metrics: Registry;
  readonly openApi: object;
  readonly assets: ReadonlyMap<string, PageAsset>;
}

export interface Asked {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The value of `{...}` in the route's path. */
  readonly name: string;
  readonly parameters: URLSearchParams;
}

export type Route = (served: Served, asked: Asked) => void | Promise<void>;

const maxSetAsideShown = 1000;

/** Every path of the API; `{id}` matches one segment. The OpenAPI document describes the same paths. */
export const routes: Readonly<Record<string, Route>> = {
  '/game-servers': ({ view, stream }, { response, parameters }) => {
    const read = readGameServerQuery(parameters);
    if ('problem' in read) return problem(response, 400, read.problem);
    const { rows, next } = selectRows(view.rows(), read.query);
    json(response, { game_servers: rows, next, position: stream.position });
  },
  '/game-servers/{id}': ({ view }, { response, name }) => {
    const row = view.row(name);
    if (row === undefined) return problem(response, 404, `No game server ${name.slice(0, 128)}`);
    json(response, row);
  },
  '/nodes': ({ view, stream }, { response }) => json(response, { nodes: view.nodes(), position: stream.position }),
  '/timeline': ({ timeline }, { response }) =>
    json(response, {
      entries: timeline.entries().map(({ atMs, ...entry }) => ({ at: new Date(atMs).toISOString(), ...entry })),
    }),
  '/set-aside': ({ setAside }, { response }) =>
    json(response, {
      messages: setAside(maxSetAsideShown).map(({ atMs, messageId, ...message }) => ({
        at: new Date(atMs).toISOString(),
        message_id: messageId,
        ...message,
      })),
    }),
  '/events': ({ stream }, { request, response, parameters }) => {
    if (stream.clients >= maxStreamClients)
      return problem(response, 503, `More than ${maxStreamClients} clients follow the events`);
    const lastSeen = request.headers['last-event-id'] ?? parameters.get('after');
    stream.open(response, typeof lastSeen === 'string' ? lastSeen : undefined);
  },
  '/metrics': async ({ metrics }, { response }) =>
    send(response, { type: metrics.contentType, body: await metrics.metrics() }),
  '/healthz': (_, { response }) => send(response, { type: 'text/plain', body: 'ok\n' }),
  '/openapi.json': ({ openApi }, { response }) => json(response, openApi),
  '/': ({ assets }, { response }) => sendAsset(response, assets.get('page.html')),
  '/page/{name}': ({ assets }, { response, name }) => sendAsset(response, assets.get(name)),
};

/** RFC 9457. */
export function problem(response: ServerResponse, status: number, detail: string): void {
  response.statusCode = status;
  send(response, { type: 'application/problem+json', body: `${JSON.stringify({ status, detail })}\n` });
}

function json(response: ServerResponse, value: object): void {
  send(response, { type: 'application/json', body: `${JSON.stringify(value)}\n` });
}

function sendAsset(response: ServerResponse, asset: PageAsset | undefined): void {
  if (asset === undefined) problem(response, 404, 'No such part of the page');
  else send(response, asset);
}

function send(response: ServerResponse, { type, body }: PageAsset): void {
  response.setHeader('content-type', type);
  response.setHeader('content-length', Buffer.byteLength(body));
  response.end(body);
}
