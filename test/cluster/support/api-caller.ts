import { once } from 'node:events';
import { Agent as HttpAgent, type IncomingMessage, request } from 'node:http';
import { Agent as HttpsAgent, request as requestTls } from 'node:https';
import { text } from 'node:stream/consumers';

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** Sent as it is, in place of a body. */
  readonly text?: string;
  readonly contentType?: string;
  /** Default: the administrator's; empty: none. */
  readonly token?: string;
}

export interface Answer {
  readonly status: number;
  /** The headers that clients act upon. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Readonly<Record<string, unknown>>;
}

const limitMs = 30_000;

/** A finished watch has one line of JSON per event. */
function parse(text: string, path: string): Record<string, unknown> {
  if (!path.includes('watch=')) return JSON.parse(text) as Record<string, unknown>;
  const lines = text.split('\n').filter((line) => line !== '');
  return { events: lines.map((line) => JSON.parse(line) as unknown) };
}

/** Raw calls to an API server: refusals are answers too and are not thrown. */
export class ApiCaller {
  readonly #url: string;
  readonly #token: string;
  readonly #agent: HttpAgent;

  constructor(url: string, token: string, ca?: string) {
    this.#url = url;
    this.#token = token;
    this.#agent = ca === undefined ? new HttpAgent({ keepAlive: true }) : new HttpsAgent({ keepAlive: true, ca });
  }

  async send({ method, path, body, text: given, contentType = 'application/json', token }: Request): Promise<Answer> {
    const send = this.#agent instanceof HttpsAgent ? requestTls : request;
    const bearer = token ?? this.#token;
    const content = given ?? (body === undefined ? '' : JSON.stringify(body));
    const sent = send(`${this.#url}${path}`, {
      method,
      agent: this.#agent,
      headers: {
        accept: 'application/json',
        'content-type': contentType,
        // Node does not set a length for the body of a DELETE by itself.
        'content-length': Buffer.byteLength(content),
        ...(bearer !== '' && { authorization: `Bearer ${bearer}` }),
      },
      signal: AbortSignal.timeout(limitMs),
    });
    sent.end(content);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const answered = await text(response);
    const { 'content-type': type, 'retry-after': retryAfter, warning } = response.headers;
    const isJson = type === 'application/json';
    return {
      status: response.statusCode ?? 0,
      headers: { type, retryAfter, warning: warning === undefined ? undefined : String(warning) },
      body: isJson ? parse(answered, path) : { text: answered },
    };
  }

  close(): void {
    this.#agent.destroy();
  }
}
