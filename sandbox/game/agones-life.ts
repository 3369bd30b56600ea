import { request } from 'node:http';
import { createInterface } from 'node:readline';

export interface AgonesLifeOptions {
  /** `http://127.0.0.1:PORT`, as a game finds it in AGONES_SDK_HTTP_PORT. */
  readonly endpoint: string;
  /** A match is on: nobody may take the server away. */
  readonly isAllocated: boolean;
  readonly say: (line: string) => void;
  /** The end is known, RFC 3339. */
  readonly onDeadline: (deadline: string) => void;
}

const healthPeriodMs = 2000;
const requestTimeoutMs = 2000;

/** What a game does with Agones' SDK, over REST: ready, maybe allocated, healthy, and watching for what happens to it. */
export async function liveByAgones({ endpoint, isAllocated, say, onDeadline }: AgonesLifeOptions): Promise<void> {
  await post(`${endpoint}/ready`);
  say('sdk: Ready()');
  if (isAllocated) {
    await post(`${endpoint}/allocate`);
    say('sdk: Allocate(): a match is on');
  }
  // A wrapper that is gone takes the game with it; a missed call costs nothing else.
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
  call.once('timeout', () => call.destroy(new Error(`Cannot call ${url}: no answer within ${requestTimeoutMs} ms`)));
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
  // The watch ends with the wrapper, and so does this game.
  call.on('error', () => undefined);
  call.end();
}
