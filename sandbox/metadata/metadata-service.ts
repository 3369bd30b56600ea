import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerJson, answerRefusal, Faults, isControlUrl, readJson, serveFaultControl } from '../faults.ts';
import { exampleInstance, type InstanceDescription, lookUp, metadataTree } from './metadata-tree.ts';
import { isNoticeKind, type NoticeKind, type Notices, parseNotice } from './notices.ts';
import { SessionTokens } from './session-tokens.ts';

export interface MetadataServiceOptions {
  /** Differences from {@link exampleInstance}. */
  instance?: Partial<InstanceDescription>;
  /** On 127.0.0.1; default: a free one. */
  port?: number;
  faults?: Faults;
  /** Epoch milliseconds; tokens expire by this clock. */
  now?: () => number;
}

export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly atMs: number;
  /** undefined: no response yet, or none because of a fault. */
  readonly status: number | undefined;
}

interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

const maxSeenRequests = 10_000;
const tokenPath = '/latest/api/token';
const tokenHeader = 'x-aws-ec2-metadata-token';
const ttlHeader = 'x-aws-ec2-metadata-token-ttl-seconds';
const noticesPath = '/sandbox/notices';

/** Starts the metadata service of one instance. Throws an Error that names the address if it cannot listen. */
export async function startMetadataService(options: MetadataServiceOptions = {}): Promise<MetadataService> {
  const { port = 0 } = options;
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot start the metadata service on 127.0.0.1:${port}: ${reason}`, { cause });
  }
  return new MetadataService(server, options);
}

/** An instance metadata service, version 2 only, whose notices the caller controls. */
export class MetadataService {
  readonly url: string;
  readonly faults: Faults;
  readonly tokens: SessionTokens;
  readonly #server: Server;
  readonly #instance: InstanceDescription;
  readonly #now: () => number;
  readonly #notices: Partial<Notices> = {};
  readonly #seen: { method: string; path: string; atMs: number; status: number | undefined }[] = [];
  #isEnabled = true;

  /** Takes a listening server; use {@link startMetadataService}. */
  constructor(server: Server, { instance, faults = new Faults(), now = Date.now }: MetadataServiceOptions) {
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.faults = faults;
    this.tokens = new SessionTokens(now);
    this.#server = server;
    this.#instance = { ...exampleInstance, ...instance };
    this.#now = now;
    server.on('request', (request, response) => {
      this.#serve(request, response).catch((error: Error) => response.destroy(error));
    });
  }

  /** The last 10000 requests, oldest first, without those to the control surface. */
  get requests(): readonly SeenRequest[] {
    return this.#seen;
  }

  /**
   * Shows the notice from now on, replacing the last one of its kind. Throws a TypeError for a document that EC2 would
   * not show.
   */
  announce<K extends NoticeKind>(kind: K, notice: Notices[K]): void {
    this.#notices[kind] = parseNotice[kind](notice);
  }

  /** Removes the notice of this kind. */
  withdraw(kind: NoticeKind): void {
    delete this.#notices[kind];
  }

  /** Turns the service off, as the instance's metadata options can: 403 for every request. */
  disable(): void {
    this.#isEnabled = false;
  }

  enable(): void {
    this.#isEnabled = true;
  }

  /** Stops listening and closes every connection, including those on which a fault hangs. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/' } = request;
    if (isControlUrl(url)) {
      await this.#serveControl(request, response);
      return;
    }
    const seen = { method, path: url, atMs: this.#now(), status: undefined as number | undefined };
    if (this.#seen.push(seen) > maxSeenRequests) this.#seen.shift();
    if (!(await this.faults.apply(request, response))) send(response, this.#answerTo(request));
    // In the same turn that sent the response, so that a client that has read it finds its status here.
    if (response.headersSent) seen.status = response.statusCode;
  }

  #answerTo(request: IncomingMessage): Answer {
    const { method, headers } = request;
    const path = pathOf(request);
    if (!this.#isEnabled) return page(403);
    if (path === tokenPath) return this.#tokenAnswer(request);
    if (method !== 'GET' && method !== 'HEAD') return notAllowed('OPTIONS, GET, HEAD');
    // A repeated token header arrives joined by a comma, which is not a valid token.
    const secondsLeft = this.tokens.secondsLeft(String(headers[tokenHeader] ?? ''));
    if (secondsLeft === undefined) return page(401);
    const item = lookUp(metadataTree(this.#instance, this.#notices), path);
    return item.kind === 'absent' ? page(404) : text(item.body, secondsLeft);
  }

  #tokenAnswer({ method, headers }: IncomingMessage): Answer {
    if (method !== 'PUT') return notAllowed('OPTIONS, PUT');
    // EC2 gives no tokens to requests that came through a proxy.
    if (headers['x-forwarded-for'] !== undefined) return page(403);
    const issued = this.tokens.issue(String(headers[ttlHeader] ?? ''));
    return issued === undefined ? page(400) : text(issued.token, issued.ttlSeconds);
  }

  async #serveControl(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (await serveFaultControl(this.faults, request, response)) return;
    const path = pathOf(request);
    const kind = path.slice(noticesPath.length + 1);
    if (path === noticesPath && request.method === 'GET') answerJson(response, 200, this.#notices);
    else if (path === `${noticesPath}/${kind}` && isNoticeKind(kind)) await this.#serveNotice(kind, request, response);
    else answerJson(response, 404, { error: `Nothing at ${request.method} ${path}` });
  }

  async #serveNotice(kind: NoticeKind, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'PUT') {
      try {
        this.announce(kind, parseNotice[kind](await readJson(request)));
        answerJson(response, 200, this.#notices[kind]);
      } catch (error) {
        answerRefusal(response, error);
      }
    } else if (request.method === 'DELETE') {
      this.withdraw(kind);
      answerJson(response, 204);
    } else if (request.method === 'GET' && this.#notices[kind] !== undefined) {
      answerJson(response, 200, this.#notices[kind]);
    } else if (request.method === 'GET') {
      answerJson(response, 404, { error: `No ${kind} notice is announced` });
    } else {
      response.setHeader('allow', 'GET, PUT, DELETE');
      answerJson(response, 405, { error: `${request.method} is not possible on ${noticesPath}/${kind}` });
    }
  }
}

function pathOf({ url = '/' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '/';
}

function text(body: string, ttlSeconds: number): Answer {
  return { status: 200, headers: { 'content-type': 'text/plain', [ttlHeader]: String(ttlSeconds) }, body };
}

function notAllowed(allow: string): Answer {
  return { status: 405, headers: { 'content-type': 'text/plain', allow }, body: '' };
}

/** EC2's error page. A client that mistakes it for an item notices at once. */
function page(status: number): Answer {
  const title = `${status} - ${STATUS_CODES[status]}`;
  const body = `<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
\t"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>${title}</title>
 </head>
 <body>
  <h1>${title}</h1>
 </body>
</html>
`;
  return { status, headers: { 'content-type': 'text/html' }, body };
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  const length = String(Buffer.byteLength(body));
  // EC2 closes the connection after every response, so clients must not rely on keep-alive.
  const always = { server: 'EC2ws', 'accept-ranges': 'none', connection: 'close', 'content-length': length };
  response.writeHead(status, { ...always, ...headers }).end(body);
}
