import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import { text } from 'node:stream/consumers';

export interface Reply {
  status: number | undefined;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Ask {
  method?: string;
  headers?: OutgoingHttpHeaders;
  body?: string;
  signal?: AbortSignal;
}

/** One request on a connection of its own. Rejects when the connection breaks, and after 10 s without an answer. */
export function ask(url: string, { body = '', signal, ...options }: Ask = {}): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const tooLong = AbortSignal.timeout(10_000);
  const limit = signal === undefined ? tooLong : AbortSignal.any([signal, tooLong]);
  const asking = request(url, { ...options, agent: false, signal: limit }, (response) => {
    const { statusCode: status, headers } = response;
    text(response).then((read) => resolve({ status, headers, body: read }), reject);
  });
  asking.on('error', reject).end(body);
  return promise;
}

/** A session token, as a well-behaved client gets one. */
export async function takeToken(url: string, ttlSeconds = 21_600): Promise<string> {
  const headers = { 'X-aws-ec2-metadata-token-ttl-seconds': ttlSeconds };
  const { status, body } = await ask(`${url}/latest/api/token`, { method: 'PUT', headers });
  if (status !== 200) throw new Error(`Cannot take a token: HTTP ${status}`);
  return body;
}

/** What is at a path below /latest, asked for with the token. */
export function read(url: string, token: string, path: string): Promise<Reply> {
  return ask(`${url}/latest/${path}`, { headers: { 'X-aws-ec2-metadata-token': token } });
}
