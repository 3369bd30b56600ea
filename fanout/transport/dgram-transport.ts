import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { hasCode } from '../../shared/system-error.ts';
import { formatEndpoint } from '../endpoint.ts';
import type { Relay } from '../relay/relay.ts';
import type { Transport, UpstreamSocket } from '../relay/session.ts';
import type { WorkerOptions } from '../workers/worker-options.ts';
import { SourceAddresses } from './source-addresses.ts';

export interface DgramPeer {
  readonly address: string;
  readonly port: number;
}

export interface DgramHandle {
  readonly socket: Socket;
  /** The queue of the socket's replica. */
  readonly queue: Queue<DgramHandle>;
  readonly onSent: (error: Error | null) => void;
  /** Sends that Node has not completed. */
  inFlight: number;
  /** Replies that queued up while the socket was muted are being discarded: they are too old to forward. */
  isStale: boolean;
}

/** Datagrams to one replica, or replies to players; `targets` and `packets` correspond by index. */
interface Queue<Target> {
  readonly targets: Target[];
  readonly packets: Buffer[];
}

export type DgramUpstreamSocket = UpstreamSocket<Buffer, DgramPeer, DgramHandle>;
export type DgramRelay = Relay<Buffer, DgramPeer, DgramHandle>;

export type DgramTransportOptions = Pick<
  WorkerOptions,
  'listen' | 'isShared' | 'upstreamAddresses' | 'maxSockets' | 'counters' | 'onError'
>;

/** Room for a burst of about 5,000 small datagrams. The kernel caps it at `net.core.rmem_max`. */
const publicBufferBytes = 4 * 1024 * 1024;
/** Datagrams of one socket that Node buffers while the kernel takes no more; further ones are dropped. */
const maxInFlight = 64;
/** The same for the public socket, which all players share. */
const maxRepliesInFlight = 1024;
/** Datagrams queued until the end of an event loop turn; more are sent at once. */
const maxQueued = 256;
/** Latency is measured for one datagram in this many. */
const sampleEvery = 128;

/** The kernel rounds this up to its minimum: two or three small datagrams. */
const mutedBufferBytes = 1;
const readBufferBytes = 256 * 1024;

/** Addresses need no lookup, and Node's own costs a turn of the thread pool per socket. */
function literalAddress(
  host: string,
  _options: unknown,
  done: (error: null, address: string, family: number) => void,
): void {
  // Called for each reply sent: searching for a colon is faster than isIPv6, a long regular expression.
  done(null, host, host.includes(':') ? 6 : 4);
}

/**
 * One worker's sockets on node:dgram, which works on every machine. Datagrams queue until the end of the event loop
 * turn and are then sent replica by replica: a receiver on this machine wakes once, not once per datagram.
 */
export class DgramTransport implements Transport<Buffer, DgramPeer, DgramHandle> {
  readonly #options: DgramTransportOptions;
  readonly #public: Socket;
  readonly #sources: SourceAddresses;
  #relay: DgramRelay | undefined;
  /** Number of open upstream sockets. */
  #open = 0;
  #sinceSampled = 0;
  /** Arrival time of the datagram whose latency is being measured. */
  #sampledAtMs: number | undefined;
  #inFlight = 0;
  /** By slot index. */
  readonly #toReplicas: Queue<DgramHandle>[] = [];
  readonly #toPlayers: Queue<DgramPeer> = newQueue();
  #queued = 0;

  constructor(options: DgramTransportOptions) {
    this.#options = options;
    this.#sources = new SourceAddresses(options.upstreamAddresses);
    const type = isIPv6(options.listen.host) ? 'udp6' : 'udp4';
    this.#public = createSocket({ type, reusePort: options.isShared, lookup: literalAddress as never });
    this.#public.on('message', (message, from) => this.#fromPlayer(message, from));
  }

  /** Resolves with the bound port. Rejects if the address cannot be bound. */
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

  /** Closes the public socket. The relay must have closed its sessions before. */
  async stop(): Promise<void> {
    this.flush();
    await new Promise<void>((resolve) => this.#public.close(resolve));
  }

  open(upstream: DgramUpstreamSocket): DgramHandle | undefined {
    const { address, port } = upstream.slot;
    if (this.#open >= this.#options.maxSockets) return undefined;
    const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', lookup: literalAddress as never });
    const handle: DgramHandle = {
      socket,
      queue: this.#queueOf(upstream.slot.index),
      inFlight: 0,
      isStale: false,
      onSent: (error) => {
        handle.inFlight--;
        if (error !== null) this.#failed(upstream, error);
      },
    };
    let isBound = true;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.syscall === 'bind') isBound = false;
      this.#failed(upstream, error);
    });
    socket.on('message', (message) => {
      if (!handle.isStale) this.#relay?.fromReplica(upstream, message, performance.now());
    });
    const source = this.#sources.next(address);
    // Both calls complete synchronously, because nothing is looked up. An event reports why they failed.
    socket.bind({ ...(source !== undefined && { address: source }), port: 0, exclusive: true });
    if (isBound) socket.connect(port, address);
    if (!isConnected(socket)) {
      socket.close();
      return undefined;
    }
    this.#open++;
    return handle;
  }

  close({ socket }: DgramHandle): void {
    this.flush();
    this.#open--;
    socket.close();
  }

  removePeer(): void {}

  sendUpstream(handle: DgramHandle, packet: Buffer): void {
    if (handle.inFlight >= maxInFlight) {
      this.#relay?.drop('upstream-full');
      return;
    }
    handle.inFlight++;
    this.#queue(handle.queue, handle, packet);
  }

  sendDownstream(peer: DgramPeer, packet: Buffer): void {
    if (this.#inFlight >= maxRepliesInFlight) {
      this.#relay?.drop('downstream-full');
      return;
    }
    this.#inFlight++;
    this.#queue(this.#toPlayers, peer, packet);
  }

  /** Sends the queued datagrams. */
  flush(): void {
    if (this.#queued === 0) return;
    this.#queued = 0;
    for (const queue of this.#toReplicas)
      if (queue !== undefined) sendQueue(queue, ({ socket, onSent }, packet) => socket.send(packet, onSent));
    sendQueue(this.#toPlayers, ({ address, port }, packet) =>
      this.#public.send(packet, port, address, this.#onReplySent),
    );
    if (this.#sampledAtMs === undefined) return;
    this.#options.counters.observeLatencyUs((performance.now() - this.#sampledAtMs) * 1000);
    this.#sampledAtMs = undefined;
  }

  readonly samplesMuted = false;

  /**
   * Not possible: node:dgram sets SO_REUSEPORT only before the first bind, and then any process could share the port.
   */
  isolate(): boolean {
    return false;
  }

  copy(packet: Buffer): Buffer {
    return Buffer.from(packet);
  }

  size(packet: Buffer): number {
    return packet.length;
  }

  mute(handle: DgramHandle, isMuted: boolean): undefined {
    const reader = readerOf(handle.socket);
    if (reader === undefined) return;
    if (isMuted) {
      // Replies queued in the kernel would be too old when read, and would only hold its memory.
      handle.socket.setRecvBufferSize(mutedBufferBytes);
      reader.recvStop();
      return;
    }
    handle.socket.setRecvBufferSize(readBufferBytes);
    reader.recvStart();
    handle.isStale = true;
    // The first callback may run before the event loop polls its sockets again. By the second one everything queued was
    // read.
    setImmediate(() =>
      setImmediate(() => {
        handle.isStale = false;
      }),
    );
  }

  readonly #onReplySent = (error: Error | null): void => {
    this.#inFlight--;
    if (error !== null) this.#relay?.drop('downstream-error');
  };

  #fromPlayer(message: Buffer, { address, port }: RemoteInfo): void {
    const relay = this.#relay;
    if (relay === undefined) return;
    const nowMs = performance.now();
    const key = `${address} ${port}`;
    const known = relay.find(key);
    if (known === undefined && relay.refusesNewSessions(nowMs)) return;
    const session = known ?? relay.open({ address, port }, key, address, nowMs);
    if (session === undefined) return;
    if (++this.#sinceSampled >= sampleEvery) {
      this.#sinceSampled = 0;
      this.#sampledAtMs = nowMs;
    }
    relay.fromPlayer(session, message, nowMs);
  }

  #queueOf(slot: number): Queue<DgramHandle> {
    const queue = this.#toReplicas[slot] ?? newQueue<DgramHandle>();
    this.#toReplicas[slot] = queue;
    return queue;
  }

  #queue<Target>({ targets, packets }: Queue<Target>, target: Target, packet: Buffer): void {
    targets.push(target);
    packets.push(packet);
    this.#queued++;
    if (this.#queued === 1) setImmediate(this.#flushTurn);
    else if (this.#queued >= maxQueued) this.flush();
  }

  readonly #flushTurn = (): void => this.flush();

  #notOpened(upstream: DgramUpstreamSocket, error: NodeJS.ErrnoException): void {
    // Running out of descriptors is counted as a drop; everything else is also logged.
    if (hasCode(error, 'EMFILE', 'ENFILE')) return;
    this.#options.onError(error);
    if (!hasCode(error, 'EAGAIN', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL')) this.#relay?.unreachable(upstream);
  }

  #failed(upstream: DgramUpstreamSocket, error: NodeJS.ErrnoException): void {
    if (error.syscall === 'bind' || error.syscall === 'connect') {
      this.#notOpened(upstream, error);
      return;
    }
    if (upstream.handle === undefined) return;
    switch (error.code) {
      case 'ECONNREFUSED':
        this.#relay?.refused(upstream);
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

function newQueue<Target>(): Queue<Target> {
  return { targets: [], packets: [] };
}

function sendQueue<Target>({ targets, packets }: Queue<Target>, send: (target: Target, packet: Buffer) => void): void {
  for (let index = 0; index < targets.length; index++) send(targets[index] as Target, packets[index] as Buffer);
  targets.length = 0;
  packets.length = 0;
}

function isConnected(socket: Socket): boolean {
  try {
    socket.remoteAddress();
    return true;
  } catch {
    return false;
  }
}

interface Reader {
  recvStart(): void;
  recvStop(): void;
}

/**
 * The part of node:dgram that starts and stops reading. It has no public name. If a version of Node hides it, every
 * reply is read, which costs only time.
 */
function readerOf(socket: Socket): Reader | undefined {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  if (symbol === undefined) return undefined;
  const state = (socket as unknown as Record<symbol, { readonly handle?: Partial<Reader> } | undefined>)[symbol];
  const { handle } = state ?? {};
  return typeof handle?.recvStart === 'function' && typeof handle.recvStop === 'function'
    ? (handle as Reader)
    : undefined;
}
