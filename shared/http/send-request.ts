import { type Agent, type ClientRequest, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http';
import { request as requestTls } from 'node:https';
import { abandon } from './connections.ts';

export interface OutgoingRequest {
  readonly url: URL;
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | undefined;
  /** Without one the request has a connection of its own, which ends with it. */
  readonly agent?: Agent;
  /** Hears of the request before it is sent; `giveUp` ends it, and its connection, with that reason. */
  readonly onRequest?: (outgoing: ClientRequest, giveUp: (reason: Error) => void) => void;
}

/**
 * Resolves at the answer's headers. The signal ends the request together with its connection, and later the reading of
 * its body.
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
  // Stays for good: what `abandon` makes of a request under way is an error once more.
  outgoing.on('error', reject);
  outgoing.once('response', resolve);
  onRequest?.(outgoing, giveUp);
  outgoing.end(body);
  return promise;
}
