import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Hook extends AsyncDisposable {
  readonly url: string;
  /** Bodies of the calls that were taken. */
  readonly taken: readonly Readonly<Record<string, unknown>>[];
  /** Of every call. */
  readonly headers: readonly IncomingHttpHeaders[];
  /** The targets of every call: a whole address where it came as if to a proxy. */
  readonly targets: readonly string[];
}

/**
 * Somebody's webhook, which fails so many times before it takes what it is sent, and thinks so long about each call.
 */
export async function startHook(
  failures: number,
  delayMs = 0,
  onTaken: (body: Readonly<Record<string, unknown>>) => void = () => {},
): Promise<Hook> {
  const taken: Record<string, unknown>[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const targets: string[] = [];
  let calls = 0;
  const server = createServer(async (request, response) => {
    headers.push(request.headers);
    targets.push(request.url ?? '');
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    await sleep(delayMs);
    const isTaken = ++calls > failures && !response.destroyed;
    if (isTaken) {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
      taken.push(body);
      onTaken(body);
    }
    response.writeHead(isTaken ? 204 : 500).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken,
    headers,
    targets,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
