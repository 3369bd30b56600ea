import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { closeHttpServer, createHttpServer } from '../../shared/http/http-server.ts';
import { isLoopback } from '../../shared/http/is-loopback.ts';
import { listen } from '../../shared/listen.ts';
import { errorText } from '../../shared/log.ts';
import type { Change, InventoryView } from '../fold/inventory-view.ts';
import type { SetAside } from '../store/inventory-store.ts';
import type { Timeline } from '../timeline.ts';
import { EventStream } from './event-stream.ts';
import { inventoryMetrics } from './metrics.ts';
import { openApiDocument } from './openapi.ts';
import { readPageAssets } from './page-assets.ts';
import { problem, routes, type Served } from './routes.ts';

export interface ServeOptions {
  readonly view: InventoryView;
  readonly timeline: Timeline;
  /** 0: a free port. */
  readonly port: number;
  /** Defaults to 127.0.0.1, because there is no authentication. */
  readonly host?: string;
  /** By counter name, for /metrics. */
  readonly counts?: ReadonlyMap<string, number>;
  readonly setAside?: (limit: number) => readonly SetAside[];
  readonly now: () => number;
}

export interface InventoryServer {
  /** The page's URL, such as `http://127.0.0.1:8080/`. */
  readonly url: string;
  /** Sends the changes to all clients of /events. Call it with every change of the view. */
  changed(changes: readonly Change[]): void;
  close(): Promise<void>;
}

/** Each page and each consumer of /events holds one connection. */
const maxConnections = 1024;
const requestMs = 10_000;
/** Longer than the idle timeout of load balancers. */
const idleMs = 65_000;

/** Serves the table, its changes and the page. Throws a FatalError that names the address if it cannot listen. */
export async function serveInventory(options: ServeOptions): Promise<InventoryServer> {
  const { view, timeline, port, host = '127.0.0.1', counts = new Map(), setAside = () => [], now } = options;
  const stream = new EventStream(now().toString(36));
  const metrics = inventoryMetrics({ view, counts, now, streamClients: () => stream.clients });
  const served = {
    view,
    timeline,
    setAside,
    stream,
    metrics,
    openApi: openApiDocument(),
    assets: await readPageAssets(),
  };
  const server = createHttpServer(
    async (request, response) => {
      try {
        await answer(served, request, response, isLoopback(host));
      } catch (error) {
        if (response.headersSent) throw error;
        problem(response, 500, errorText(error));
      }
    },
    { maxConnections, requestMs, idleMs, onError: () => {} },
  );
  const boundPort = await listenOn(server, port, host);
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${boundPort}/`,
    changed: (changes) => stream.publish(changes),
    close: async () => {
      stream.close();
      await closeHttpServer(server);
    },
  };
}

async function answer(
  served: Served,
  request: IncomingMessage,
  response: ServerResponse,
  isLocal: boolean,
): Promise<void> {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  // DNS rebinding: another site's name may resolve to 127.0.0.1 to read what only this machine should see.
  if (isLocal && !isLocalName(request.headers.host)) return problem(response, 421, 'Not a name of this machine');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    return problem(response, 405, 'The inventory can only be read');
  }
  const url = URL.parse(request.url ?? '/', 'http://inventory');
  const path = url?.pathname ?? '/';
  const slash = path.indexOf('/', 1);
  const name = slash < 0 ? '' : decoded(path.slice(slash + 1));
  const route =
    slash < 0 ? routes[path] : routes[`${path.slice(0, slash)}/{${path.startsWith('/page/') ? 'name' : 'id'}}`];
  if (route === undefined || url === null) return problem(response, 404, 'No such path: see /openapi.json');
  await route(served, { request, response, name, parameters: url.searchParams });
}

const headers: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

function isLocalName(host: string | undefined): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i.test(host ?? '');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function listenOn(server: Server, port: number, host: string): Promise<number> {
  try {
    return await listen(server, { port, host });
  } catch (error) {
    throw new FatalError(`Cannot serve the inventory on ${host}:${port}: ${errorText(error)}`, {
      status: exitStatus.unavailable,
      cause: error,
    });
  }
}
