import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { allocationResponse } from '../agones/allocation-response.ts';
import { grpcCodes, httpStatusOf } from '../agones/grpc-code.ts';
import { readAllocationRequest } from '../agones/read-request.ts';
import { RequestError } from '../agones/request-error.ts';
import type { AllocationFailure } from '../allocation/allocator.ts';
import type { NodeView } from '../cluster/node-view.ts';
import type { Desk } from './desk.ts';

export interface AllocationDoorOptions {
  readonly desk: Pick<Desk, 'allocate'>;
  /** The namespace that is served. */
  readonly namespace: string;
  readonly node: (name: string) => NodeView | undefined;
  /** Why allocation is not possible yet; undefined if it is. */
  readonly whyNotReady: () => string | undefined;
}

export const allocationPath = '/gameserverallocation';
/** A little more than a pod's annotations may hold. */
const maxBodyBytes = 524_288;
/** Limit for all request bodies that are being read, together. */
const maxPendingBytes = 33_554_432;

/** Agones' allocator over HTTP: `POST /gameserverallocation`. */
export class AllocationDoor {
  readonly #options: AllocationDoorOptions;
  #pendingBytes = 0;

  constructor(options: AllocationDoorOptions) {
    this.#options = options;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const path = (request.url ?? '').split('?', 1)[0];
      if (path !== allocationPath) throw new RequestError('Not Found', { code: grpcCodes.notFound });
      if (request.method !== 'POST') throw new RequestError('Method Not Allowed', { code: grpcCodes.unimplemented });
      const read = readAllocationRequest(parseJson(await this.#readBody(request)));
      for (const what of read.ignored) response.appendHeader('warning', `299 - "ignored: ${what}"`);
      send(response, 200, await this.#allocate(read.request, clientOf(request)));
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      const { code, message } = error;
      // Close the connection: the rest of a body that is too large is not read.
      if (!request.complete) response.setHeader('connection', 'close');
      send(response, httpStatusOf(code), { code, message, details: [] });
    }
  }

  async #allocate(request: ReturnType<typeof readAllocationRequest>['request'], client: string): Promise<object> {
    const { desk, namespace, node, whyNotReady } = this.#options;
    const why = whyNotReady();
    if (why !== undefined) throw new RequestError(why, { code: grpcCodes.unavailable });
    if (request.namespace !== '' && request.namespace !== namespace)
      throw new RequestError(`${nothingLeft}: only namespace ${namespace} is served here`, {
        code: grpcCodes.resourceExhausted,
      });
    const outcome = await desk.allocate({ ...request, namespace }, client);
    if (outcome.kind === 'allocated') return allocationResponse(outcome.pod, node(outcome.pod.nodeName ?? ''));
    throw errorOf(outcome);
  }

  async #readBody(request: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        this.#pendingBytes += chunk.length;
        if (bytes > maxBodyBytes)
          throw new RequestError(`Request too large: at most ${maxBodyBytes} bytes`, {
            code: grpcCodes.invalidArgument,
          });
        if (this.#pendingBytes > maxPendingBytes) throw new RequestError(tooMany, { code: grpcCodes.aborted });
        chunks.push(chunk);
      }
      return Buffer.concat(chunks).toString('utf8');
    } finally {
      this.#pendingBytes -= bytes;
    }
  }
}

/** Agones' own words, because clients compare them. */
const nothingLeft = 'there is no available GameServer to allocate';
const tooMany = 'too many concurrent requests have overwhelmed the system';

function errorOf(outcome: AllocationFailure): RequestError {
  switch (outcome.kind) {
    case 'none':
      return new RequestError(nothingLeft, { code: grpcCodes.resourceExhausted });
    case 'contention':
      return new RequestError(tooMany, { code: grpcCodes.aborted });
    case 'ended':
      return new RequestError('the session of this id is over', { code: grpcCodes.alreadyExists });
    case 'unavailable':
      return new RequestError(`cannot allocate now: ${outcome.reason}`, { code: grpcCodes.unavailable });
  }
}

function parseJson(text: string): unknown {
  if (text.trim() === '') return {};
  try {
    return JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 200) : 'no JSON';
    throw new RequestError(`Invalid request: ${why}`, { code: grpcCodes.invalidArgument, cause: error });
  }
}

/** The name in the client's certificate, or else its address. */
function clientOf({ socket }: IncomingMessage): string {
  const certificate = 'getPeerCertificate' in socket ? (socket as TLSSocket).getPeerCertificate() : undefined;
  const name = certificate?.subject?.CN;
  return name === undefined ? (socket.remoteAddress ?? 'unknown') : `CN=${String(name)}`;
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
