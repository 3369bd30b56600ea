import { request } from 'node:http';
import { createInterface } from 'node:readline';

export interface AgonesLifeOptions {
  /** `http://127.0.0.1:PORT`, with the port of AGONES_SDK_HTTP_PORT. */
  readonly endpoint: string;
  /** Whether the game reports a match at once. */
  readonly isAllocated: boolean;
  readonly say: (line: string) => void;
  /** The deadline is known, RFC 3339. */
  readonly onDeadline: (deadline: string) => void;
}

const healthPeriodMs = 2000;
const requestTimeoutMs = 2000;

/** Uses Agones' SDK over REST as a game does: ready, optionally allocated, health, and a watch. */
export async function liveByAgones({ endpoint, isAllocated, say, onDeadline }: AgonesLifeOptions): Promise<void> {
  await post(`${endpoint}/ready`);
  say('sdk: Ready()');
  if (isAllocated) {
    await post(`${endpoint}/allocate`);
    say('sdk: Allocate(): a match is on');
  }
  // A failed call has no consequence: if the wrapper is gone, so is the game.
  setInterval(() => post(`${endpoint}/health`).catch(() => undefined), healthPeriodMs);
  watch(`${endpoint}/watch/gameserver`, (annotations) => {
    const deadline = annotations['spotable.dev/deadline'];
    if (deadline !== undefined) onDeadline(deadline);
  });
}

function post(url: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const headers = { 'content-type': 'application/json' };
  const call = request(url, { method: 'POST', headers, timeout: requestTimeoutMs }, (response) => {
    response.resume();
    if (response.statusCode === 200) resolve();
    else reject(new Error(`Cannot call ${url}: HTTP ${response.statusCode}`));
  });
  call.once('timeout', () => call.destroy(new Error(`Cannot call ${url}: no response within ${requestTimeoutMs} ms`)));
  call.once('error', reject);
  call.end('{}');
  return promise;
}

interface WatchLine {
  readonly result?: { readonly object_meta?: { readonly annotations?: Readonly<Record<string, string>> } };
}

function watch(url: string, onAnnotations: (annotations: Readonly<Record<string, string>>) => void): void {
  const call = request(url, (response) => {
    createInterface({ input: response }).on('line', (line) => {
      const { result } = JSON.parse(line) as WatchLine;
      onAnnotations(result?.object_meta?.annotations ?? {});
    });
  });
  // The watch ends with the wrapper, and the game with it.
  call.on('error', () => undefined);
  call.end();
}
