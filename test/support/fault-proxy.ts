import { once } from 'node:events';
import {
  createServer as createHttpServer,
  Agent as HttpAgent,
  type IncomingMessage,
  type RequestListener,
  request as requestHttp,
  type ServerResponse,
} from 'node:http';
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { createServer as createHttpsServer, Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { Faults } from '../../sandbox/faults.ts';
import { FaultyNetwork } from './faulty-network.ts';
import { type TestCertificate, testCertificates } from './test-certificates.ts';

export interface FaultProxyOptions {
  /** The upstream server: `http:` or `https:`. */
  readonly target: URL;
  /** The authority that signed the server's certificate, and a client certificate if the server asks for one. */
  readonly targetTls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** The certificate for clients; `plain` for clients that speak http. */
  readonly certificate?: TestCertificate | 'plain';
  /** Whether to offer HTTP/2 to clients, as a real API server does. The upstream connection always uses HTTP/1.1. */
  readonly offersHttp2?: boolean;
}

/** A request that arrived at the proxy. */
export interface ProxiedRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly httpVersion: string;
  readonly atMs: number;
  /** `passed`: the upstream server has seen it. */
  readonly fate: 'passed' | 'faulted';
}

/** Only the last ones are kept. */
const maxRequests = 20_000;
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'proxy-connection',
  'http2-settings',
]);

/**
 * A proxy between a client and an HTTP server (either Kubernetes API server, the metadata service, SQS) that fails on
 * demand: `network` fails connections, `faults` fails single requests by method and path.
 *
 *     client ──TCP──▶ FaultyNetwork ──TCP──▶ HTTP(S) server of the proxy: faults, records ──HTTP/1.1──▶ target
 */
export interface FaultProxy extends AsyncDisposable {
  readonly url: string;
  readonly network: FaultyNetwork;
  /** Answers, delays, hangs and resets for chosen requests. The first matching rule decides. */
  readonly faults: Faults;
  /** The last 20,000, oldest first. */
  readonly requests: readonly ProxiedRequest[];
  /** Holds back all data of watches, open and new, while their connections stay open. `false` releases the data. */
  silenceWatches(isSilent?: boolean): void;
}

export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const { target, targetTls = {}, certificate = testCertificates.first, offersHttp2 = false } = options;
  const isTlsTarget = target.protocol === 'https:';
  const agent = isTlsTarget
    ? new HttpsAgent({ keepAlive: true, rejectUnauthorized: targetTls.ca !== undefined, ...targetTls })
    : new HttpAgent({ keepAlive: true });
  const faults = new Faults();
  const requests: ProxiedRequest[] = [];
  const watches = new SilenceableWatches();
  const forward: Forward = { target, agent, send: isTlsTarget ? requestHttps : requestHttp, watches };
  const onRequest: RequestListener = (request, response) => {
    handle({ faults, requests, forward }, request, response).catch(() => response.destroy());
  };
  const server = createServer(certificate, offersHttp2, onRequest);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const network = await FaultyNetwork.start((server.address() as AddressInfo).port);
  return {
    url: `${certificate === 'plain' ? 'http' : 'https'}://127.0.0.1:${network.port}`,
    network,
    faults,
    requests,
    silenceWatches: (isSilent = true) => watches.set(isSilent),
    [Symbol.asyncDispose]: async () => {
      // The server has no connections but the network's, which end with it.
      await network[Symbol.asyncDispose]();
      agent.destroy();
      server.close();
    },
  };
}

function createServer(
  certificate: TestCertificate | 'plain',
  offersHttp2: boolean,
  onRequest: RequestListener,
): Server {
  if (certificate === 'plain') return createHttpServer(onRequest);
  const { cert, key } = certificate;
  if (!offersHttp2) return createHttpsServer({ cert, key }, onRequest);
  // Requests and responses of both protocols are alike in everything that is used here.
  return createSecureServer({ cert, key, allowHTTP1: true })
    .on('request', onRequest as unknown as (request: Http2ServerRequest, response: Http2ServerResponse) => void)
    .on('sessionError', () => {});
}

interface Forward {
  readonly target: URL;
  readonly agent: HttpAgent;
  readonly send: typeof requestHttp;
  readonly watches: SilenceableWatches;
}

async function handle(
  { faults, requests, forward }: { faults: Faults; requests: ProxiedRequest[]; forward: Forward },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = 'GET', url: path = '/', httpVersion } = request;
  const record = (fate: ProxiedRequest['fate']): void => {
    if (requests.length >= maxRequests) requests.shift();
    requests.push({ method, path, httpVersion, atMs: Date.now(), fate });
  };
  request.on('error', () => {});
  response.on('error', () => {});
  if (await faults.apply(request, response)) return record('faulted');
  record('passed');
  pass(forward, request, response);
}

function pass({ target, agent, send, watches }: Forward, request: IncomingMessage, response: ServerResponse): void {
  const outgoing = send(new URL(request.url ?? '/', target), {
    method: request.method ?? 'GET',
    headers: endToEnd(request.headers),
    agent,
  });
  outgoing.on('error', () => response.destroy());
  response.once('close', () => outgoing.destroy());
  outgoing.once('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
    const isWatch = /[?&]watch=(?:1|true)\b/.test(request.url ?? '');
    if (isWatch) watches.pipe(answer, response);
    else answer.pipe(response);
    answer.on('error', () => response.destroy());
  });
  request.pipe(outgoing);
}

/** Drops hop-by-hop headers and HTTP/2's own fields. */
function endToEnd(headers: IncomingMessage['headers']): Record<string, string | string[]> {
  const kept = Object.entries(headers).filter(([name]) => !name.startsWith(':') && !hopByHop.has(name));
  return Object.fromEntries(kept) as Record<string, string | string[]>;
}

/** The streams of all watches, which can be held back together. */
class SilenceableWatches {
  readonly #held = new Set<() => void>();
  #isSilent = false;

  set(isSilent: boolean): void {
    this.#isSilent = isSilent;
    if (isSilent) return;
    for (const release of this.#held) release();
    this.#held.clear();
  }

  pipe(answer: IncomingMessage, response: ServerResponse): void {
    const pending: Buffer[] = [];
    let hasEnded = false;
    const release = (): void => {
      for (const chunk of pending.splice(0)) response.write(chunk);
      if (hasEnded) response.end();
    };
    const look = (): void => {
      if (this.#isSilent) this.#held.add(release);
      else release();
    };
    // Send the headers at once, so that the client sees that the watch has begun.
    response.flushHeaders?.();
    answer.on('data', (chunk: Buffer) => {
      pending.push(chunk);
      look();
    });
    answer.once('end', () => {
      hasEnded = true;
      look();
    });
    response.once('close', () => this.#held.delete(release));
  }
}
