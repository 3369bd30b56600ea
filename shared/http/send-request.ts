import { type Agent, type ClientRequest, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http';
import { request as requestTls } from 'node:https';
import { abandon } from './connections.ts';

export interface OutgoingRequest {
  readonly url: URL;
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | undefined;
  /** Without an agent the request uses its own connection, which ends with it. */
  readonly agent?: Agent;
  /** Called before the request is sent. `giveUp` ends the request and its connection with that reason. */
  readonly onRequest?: (outgoing: ClientRequest, giveUp: (reason: Error) => void) => void;
}

/**
 * Resolves when the response headers arrive. The signal ends the request and its connection; afterwards it ends the
 * reading of the body.
 */
export function sendRequest(
  { url, method = 'GET', headers = {}, body, agent, onRequest }: OutgoingRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  if (signal.aborted) return Promise.reject(signal.reason);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const send = url.protocol === 'https:' ? requestTls : request;
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
  const outgoing = send(url, { method, headers: { ...headers, ...length }, agent: agent ?? false });
  const giveUp = (reason: Error) => {
    reject(reason);
    abandon(outgoing, reason);
  };
  const onAbort = () => giveUp(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  outgoing.once('close', () => signal.removeEventListener('abort', onAbort));
  // Never removed: `abandon` makes a request in flight emit another error.
  outgoing.on('error', reject);
  outgoing.once('response', resolve);
  onRequest?.(outgoing, giveUp);
  outgoing.end(body);
  return promise;
}
