import type { Socket } from 'node:net';
import type { GameServerEvent } from '../../shared/events/event.ts';
import { decodeWrapperLine } from '../../shared/link/decode-line.ts';
import { LineDecoder } from '../../shared/link/line-decoder.ts';
import {
  type AgentMessage,
  encodeLine,
  type HelloMessage,
  type Occupancy,
  type StateMessage,
  type WrapperMessage,
} from '../../shared/link/link-message.ts';

/** A reader this far behind is disconnected. Its wrapper reconnects or polls by itself. */
const maxBacklogBytes = 1_048_576;

export interface PeerListener {
  readonly onMessage: (peer: WrapperPeer, message: WrapperMessage) => void;
  /** A line was malformed: the connection ends. */
  readonly onGarbage: (peer: WrapperPeer, reason: string) => void;
  readonly onClose: (peer: WrapperPeer) => void;
}

/**
 * In order of trust. `silent`: no hello yet. `stranger`: rejected. `unknown`: possibly a pod that the watch does not
 * show yet. `pod`: it names a pod of this node. `verified`: it has proved to be that pod, and publishes through the
 * agent. When the link is full, the first ones make room for the last ones.
 */
export const standings = ['silent', 'stranger', 'unknown', 'pod', 'verified'] as const;
export type Standing = (typeof standings)[number];

/** One wrapper's connection and its state. The link server decides what to do with messages. */
export class WrapperPeer {
  readonly #socket: Socket;
  readonly #lines = new LineDecoder();
  readonly #closed = new AbortController();
  hello: HelloMessage | undefined;
  standing: Standing = 'silent';
  /** Whether it has players, by its last report. */
  occupancy: Occupancy | undefined;
  /** Its last state message. */
  state: StateMessage | undefined;
  /** Its newest event: everything known about the game server. */
  latest: GameServerEvent | undefined;
  /** IDs of its events that the queue has not accepted yet. */
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
    // 'close' always follows an error.
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#closed.abort();
      onClose(this);
    });
  }

  /** Aborts when the connection is closed. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  get isVerified(): boolean {
    return this.standing === 'verified';
  }

  /** Whether it counts as a wrapper of this node. */
  get isWrapper(): boolean {
    return this.standing === 'pod' || this.standing === 'verified';
  }

  send(message: AgentMessage): void {
    this.sendLine(encodeLine(message));
  }

  sendLine(line: string): void {
    if (this.#socket.destroyed) return;
    this.#socket.write(line);
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
