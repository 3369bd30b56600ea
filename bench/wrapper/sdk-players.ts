import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

export type SdkForm = 'rest' | 'rest+grpc';

/** Ports of one wrapper's SDK server. */
export interface SdkPorts {
  readonly http: string;
  readonly grpc: string;
}

/** The game prints its SDK ports on its first line, and sleeps. */
export const sdkGame: readonly string[] = [
  'sh',
  '-c',
  'echo "$AGONES_SDK_HTTP_PORT $AGONES_SDK_GRPC_PORT"; exec sleep 100000',
];

export function readSdkPorts(line: string): SdkPorts {
  const [http = '', grpc = ''] = line.trim().split(' ');
  return { http, grpc };
}

const healthEveryMs = 2000;

/**
 * Uses the SDK as games do, for many wrappers and from this process, so that the games' memory stays out of the
 * figures: one open watch, and Health() every two seconds. Ends with the signal.
 */
export async function playSdk(form: SdkForm, ports: readonly SdkPorts[], signal: AbortSignal): Promise<void> {
  const sayHealthy = ports.map((port) => (form === 'rest' ? overRest(port, signal) : overGrpc(port, signal)));
  while (!signal.aborted) {
    for (const say of sayHealthy) say();
    await sleep(healthEveryMs, undefined, { signal }).catch(() => {});
  }
}

function overRest({ http }: SdkPorts, signal: AbortSignal): () => void {
  const url = `http://127.0.0.1:${http}`;
  void watch(`${url}/watch/gameserver`, signal);
  return () => {
    const posted = fetch(`${url}/health`, { method: 'POST', body: '{}', signal });
    posted.then((answer) => answer.text()).catch(() => {});
  };
}

async function watch(url: string, signal: AbortSignal): Promise<void> {
  try {
    const { body } = await fetch(url, { signal });
    for await (const _ of body ?? []);
  } catch {
    // The wrapper or the measurement has ended.
  }
}

interface AgonesClient {
  connect(): Promise<void>;
  close(): void;
  health(onError: (error: unknown) => void): void;
  watchGameServer(onUpdate: () => void, onError: () => void): void;
}

function overGrpc({ grpc }: SdkPorts, signal: AbortSignal): () => void {
  // Agones' client reads its port from the environment when it is created.
  process.env['AGONES_SDK_GRPC_PORT'] = grpc;
  const Sdk = createRequire(import.meta.url)('@google-cloud/agones-sdk') as new () => AgonesClient;
  const sdk = new Sdk();
  let isConnected = false;
  const connected = async () => {
    await sdk.connect();
    sdk.watchGameServer(
      () => {},
      () => {},
    );
    isConnected = true;
  };
  connected().catch(() => {});
  signal.addEventListener('abort', () => sdk.close(), { once: true });
  return () => {
    if (isConnected) sdk.health(() => {});
  };
}
