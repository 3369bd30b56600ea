import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { formatEndpoint } from '../endpoint.ts';
import type { Relay } from '../relay/relay.ts';
import type { Leg, Path } from '../relay/session.ts';
import type { PlaneOptions } from './plane-options.ts';

export interface DgramPeer {
  readonly address: string;
  readonly port: number;
}

export interface DgramHandle {
  readonly socket: Socket;
  readonly onSent: (error: Error | null) => void;
}

export type DgramLeg = Leg<Buffer, DgramPeer, DgramHandle>;
export type DgramRelay = Relay<Buffer, DgramPeer, DgramHandle>;

export type DgramPathOptions = Pick<PlaneOptions, 'listen' | 'isShared' | 'upstreamAddress' | 'counters' | 'onError'>;

/** Asked for; the kernel gives at most `net.core.rmem_max`. Rides out a burst of about 5,000 small datagrams. */
const publicBufferBytes = 4 * 1024 * 1024;
/** Datagrams that wait in Node because the kernel takes no more: above it the newest are dropped. */
const mostQueuedBytes = 1024 * 1024;
/** Every so many datagrams the way through this process is timed. */
const timedEvery = 128;

/** Addresses need no resolving, and Node's own lookup costs a turn of the thread pool for each socket. */
function literal(host: string, _options: unknown, done: (error: null, address: string, family: number) => void): void {
  done(null, host, isIPv6(host) ? 6 : 4);
}

/** The sockets of one worker on node:dgram, which every machine has. */
export class DgramPath implements Path<Buffer, DgramPeer, DgramHandle> {
  readonly #options: DgramPathOptions;
  readonly #public: Socket;
  #relay: DgramRelay | undefined;
  #sinceTimed = 0;

  constructor(options: DgramPathOptions) {
    this.#options = options;
    const type = isIPv6(options.listen.host) ? 'udp6' : 'udp4';
    this.#public = createSocket({ type, reusePort: options.isShared, lookup: literal as never });
    this.#public.on('message', (message, from) => this.#fromPlayer(message, from));
  }

  /** Resolves with the bound port. Rejects where the address cannot be had. */
  async start(relay: DgramRelay): Promise<number> {
    this.#relay = relay;
    const { host, port } = this.#options.listen;
    const bound = Promise.withResolvers<void>();
    this.#public.once('error', bound.reject);
    this.#public.bind({ address: host, port, exclusive: true }, bound.resolve);
    try {
      await bound.promise;
    } catch (error) {
      throw new Error(`Cannot listen on udp ${formatEndpoint(this.#options.listen)}`, { cause: error });
    }
    this.#public.off('error', bound.reject);
    this.#public.on('error', (error) => this.#options.onError(error));
    this.#public.setRecvBufferSize(publicBufferBytes);
    this.#public.setSendBufferSize(publicBufferBytes);
    return this.#public.address().port;
  }

  /** Stops taking datagrams. The relay's sessions are to be closed before. */
  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.#public.close(resolve));
  }

  open(leg: DgramLeg): DgramHandle | undefined {
    const { address, port } = leg.place;
    const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', lookup: literal as never });
    const handle: DgramHandle = {
      socket,
      onSent: (error) => {
        if (error !== null) this.#failed(leg, error);
      },
    };
    socket.on('error', (error) => this.#failed(leg, error));
    socket.on('message', (message) => this.#relay?.fromReplica(leg, message, performance.now()));
    const { upstreamAddress } = this.#options;
    try {
      // Both finish before they return, because nothing is looked up.
      if (upstreamAddress !== undefined) socket.bind({ address: upstreamAddress, port: 0, exclusive: true });
      socket.connect(port, address);
    } catch (error) {
      this.#options.onError(error as Error);
      return undefined;
    }
    return handle;
  }

  close({ socket }: DgramHandle): void {
    socket.close();
  }

  forget(): void {}

  sendUpstream({ socket, onSent }: DgramHandle, packet: Buffer): void {
    if (socket.getSendQueueSize() > mostQueuedBytes) this.#relay?.drop('upstream-full');
    else socket.send(packet, onSent);
  }

  sendDownstream({ address, port }: DgramPeer, packet: Buffer): void {
    if (this.#public.getSendQueueSize() > mostQueuedBytes) this.#relay?.drop('downstream-full');
    else this.#public.send(packet, port, address, this.#onReplySent);
  }

  keep(packet: Buffer): Buffer {
    return Buffer.from(packet);
  }

  size(packet: Buffer): number {
    return packet.length;
  }

  deafen(): undefined {
    return undefined;
  }

  readonly #onReplySent = (error: Error | null): void => {
    if (error !== null) this.#relay?.drop('downstream-error');
  };

  #fromPlayer(message: Buffer, { address, port }: RemoteInfo): void {
    const relay = this.#relay;
    if (relay === undefined) return;
    const nowMs = performance.now();
    const key = `${address} ${port}`;
    const known = relay.find(key);
    if (known === undefined && relay.refusesNewcomers(nowMs)) return;
    const session = known ?? relay.open({ address, port }, key, address, nowMs);
    if (session === undefined) return;
    relay.fromPlayer(session, message, nowMs);
    if (++this.#sinceTimed < timedEvery) return;
    this.#sinceTimed = 0;
    this.#options.counters.tookUs((performance.now() - nowMs) * 1000);
  }

  #failed(leg: DgramLeg, error: NodeJS.ErrnoException): void {
    if (leg.handle === undefined) return;
    switch (error.code) {
      case 'ECONNREFUSED':
        this.#relay?.refused(leg);
        break;
      case 'ENOBUFS':
      case 'EAGAIN':
      case 'ENOMEM':
        this.#relay?.drop('upstream-full');
        break;
      default:
        this.#relay?.drop('upstream-error');
    }
  }
}
