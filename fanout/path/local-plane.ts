import type { Counters } from '../relay/counters.ts';
import type { Plane } from '../relay/plane.ts';
import type { Relay } from '../relay/relay.ts';
import type { View } from '../relay/session.ts';

export interface LocalPlaneParts<Packet, Peer, Handle> {
  readonly relay: Relay<Packet, Peer, Handle>;
  readonly counters: Counters;
  readonly port: number;
  /** Closes the sockets, after the last session. */
  readonly closePath: () => Promise<void>;
  /** Sends what the relay has queued outside of the path's own events. */
  readonly flush: () => void;
}

const tickMs = 10;
/** Sessions brought in line with a new view before datagrams get their turn again: about a millisecond. */
const alignedPerTurn = 500;

/** A worker's sessions and sockets in this thread: gives the relay its time and its slices. */
export class LocalPlane<Packet, Peer, Handle> implements Plane {
  readonly #parts: LocalPlaneParts<Packet, Peer, Handle>;
  readonly #timer: NodeJS.Timeout;
  #turn: NodeJS.Immediate | undefined;

  constructor(parts: LocalPlaneParts<Packet, Peer, Handle>) {
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
    this.#alignSlice();
  }

  drain(): void {
    this.#parts.relay.drain();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    clearImmediate(this.#turn);
    this.#parts.relay.close();
    await this.#parts.closePath();
  }

  readonly #alignSlice = (): void => {
    clearImmediate(this.#turn);
    const { relay, flush } = this.#parts;
    const hasMore = relay.alignSome(alignedPerTurn, performance.now());
    flush();
    if (hasMore) this.#turn = setImmediate(this.#alignSlice);
  };
}
