import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import type { SdkEndpoint } from '../sdk-endpoint.ts';

/** A watcher need not send anything; Agones reads and ignores what it sends. */
const maxMessageBytes = 4096;
/** RFC 6455's close code for "try again later". */
const tryAgainLater = 1013;

const server = new WebSocketServer({
  noServer: true,
  perMessageDeflate: false,
  clientTracking: false,
  maxPayload: maxMessageBytes,
});

export interface WebSocketWatchOptions {
  readonly request: IncomingMessage;
  readonly socket: Socket;
  /** Bytes that have already arrived after the request. */
  readonly head: Buffer;
  readonly endpoint: SdkEndpoint;
}

/** Turns the connection into a WebSocket that sends each version of the game server as one text frame. */
export function watchByWebSocket({ request, socket, head, endpoint }: WebSocketWatchOptions): void {
  server.handleUpgrade(request, socket, head, (client) => {
    client.on('error', () => client.terminate());
    const watch = endpoint.watch({
      write: (snapshot) => {
        client.send(snapshot.line.subarray(0, -1), { binary: false });
        return !socket.writableNeedDrain;
      },
      close: (error) => (error === undefined ? client.close() : client.terminate()),
    });
    if (watch === undefined) return client.close(tryAgainLater, 'too many watchers');
    socket.on('drain', () => watch.resume());
    client.on('close', () => watch.stop());
  });
}
