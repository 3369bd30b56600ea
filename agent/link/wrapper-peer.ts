import type { Socket } from 'node:net';
import type { GameServerEvent } from '../../shared/events/event.ts';
import { decodeWrapperLine } from '../../shared/link/decode-line.ts';
import { LineDecoder } from '../../shared/link/line-decoder.ts';
import {
  type AgentMessage,
  encodeLine,
  type HelloMessage,
  type Occupancy,
  type WrapperMessage,
} from '../../shared/link/link-message.ts';

/** A reader this far behind is cut off: its wrapper comes back, or polls for itself. */
const maxBacklogBytes = 1_048_576;

export interface PeerListener {
  readonly onMessage: (peer: WrapperPeer, message: WrapperMessage) => void;
  /** A line that is no message: the connection ends. */
  readonly onGarbage: (peer: WrapperPeer, reason: string) => void;
  readonly onClose: (peer: WrapperPeer) => void;
}

/** One wrapper's connection. It knows its own state; what to do with messages is the link server's business. */
export class WrapperPeer {
  readonly #socket: Socket;
  readonly #lines = new LineDecoder();
  readonly #closed = new AbortController();
  hello: HelloMessage | undefined;
  /** Whether it has proved to be the pod it says it is; only then it publishes through us. */
  isVerified = false;
  /** Whether anybody plays on it, as it said last. */
  occupancy: Occupancy | undefined;
  /** Its newest event: all that is known of the game server. */
  latest: GameServerEvent | undefined;
  /** Ids of its events that the queue has not taken yet. */
  readonly unpublished: Set<string> = new Set();

  constructor(socket: Socket, { onMessage, onGarbage, onClose }: PeerListener) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const line of this.#lines.push(chunk)) this.#take(line, onMessage, onGarbage);
      } catch (error) {
        onGarbage(this, error instanceof Error ? error.message : String(error));
        this.close();
      }
    });
    // A broken connection is a closed one: 'close' always follows.
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#closed.abort();
      onClose(this);
    });
  }

  /** Aborts when the connection has gone. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  send(message: AgentMessage): void {
    if (this.#socket.destroyed) return;
    this.#socket.write(encodeLine(message));
    if (this.#socket.writableLength > maxBacklogBytes) this.close();
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(line: string, onMessage: PeerListener['onMessage'], onGarbage: PeerListener['onGarbage']): void {
    if (this.#socket.destroyed) return;
    const decoded = decodeWrapperLine(line);
    switch (decoded.kind) {
      case 'message':
        onMessage(this, decoded.message);
        break;
      case 'unknown':
        this.send({ type: 'error', message: `Unknown message type ${decoded.type}` });
        break;
      case 'garbage':
        onGarbage(this, decoded.reason);
        this.close();
        break;
    }
  }
}
