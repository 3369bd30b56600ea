import type { Counters } from '../relay/counters.ts';
import type { Relay } from '../relay/relay.ts';
import type { View } from '../relay/session.ts';
import type { RelayWorker } from './relay-worker.ts';

export interface LocalWorkerParts<Packet, Peer, Handle> {
  readonly relay: Relay<Packet, Peer, Handle>;
  readonly counters: Counters;
  readonly port: number;
  /** Closes the sockets, after the last session. */
  readonly closeTransport: () => Promise<void>;
  /** Sends datagrams that the relay queued outside of the transport's own events. */
  readonly flush: () => void;
}

const tickMs = 10;
/** Sessions updated before datagrams get their turn again: about a millisecond. */
const updatedPerTurn = 500;

/** A worker in this thread: drives the relay's ticks and updates its sessions in slices. */
export class LocalWorker<Packet, Peer, Handle> implements RelayWorker {
  readonly #parts: LocalWorkerParts<Packet, Peer, Handle>;
  readonly #timer: NodeJS.Timeout;
  #turn: NodeJS.Immediate | undefined;

  constructor(parts: LocalWorkerParts<Packet, Peer, Handle>) {
    this.#parts = parts;
    this.#timer = setInterval(() => {
      parts.relay.tick(performance.now());
      parts.flush();
    }, tickMs);
  }

  get counters(): Counters {
    return this.#parts.counters;
  }

  get port(): number {
    return this.#parts.port;
  }

  apply(view: View): void {
    this.#parts.relay.apply(view);
    this.#updateSlice();
  }

  drain(): void {
    this.#parts.relay.drain();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    clearImmediate(this.#turn);
    this.#parts.relay.close();
    await this.#parts.closeTransport();
  }

  readonly #updateSlice = (): void => {
    clearImmediate(this.#turn);
    const { relay, flush } = this.#parts;
    const hasMore = relay.updateSessions(updatedPerTurn, performance.now());
    flush();
    if (hasMore) this.#turn = setImmediate(this.#updateSlice);
  };
}
