import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { hasCode } from '../../shared/system-error.ts';
import { formatEndpoint } from '../endpoint.ts';
import type { Relay } from '../relay/relay.ts';
import type { Leg, Path } from '../relay/session.ts';
import type { PlaneOptions } from './plane-options.ts';
import { SourceAddresses } from './source-addresses.ts';

export interface DgramPeer {
  readonly address: string;
  readonly port: number;
}

export interface DgramHandle {
  readonly socket: Socket;
  /** What goes to its replica. */
  readonly queue: Queue<DgramHandle>;
  readonly onSent: (error: Error | null) => void;
  /** Sends that Node has not finished. */
  underWay: number;
  /** What waited in the socket while it was not read is being read now, and is too old to pass on. */
  isStale: boolean;
}

/** Datagrams that go to one replica, or all answers: `targets` and `packets` belong together by index. */
interface Queue<Target> {
  readonly targets: Target[];
  readonly packets: Buffer[];
}

export type DgramLeg = Leg<Buffer, DgramPeer, DgramHandle>;
export type DgramRelay = Relay<Buffer, DgramPeer, DgramHandle>;

export type DgramPathOptions = Pick<
  PlaneOptions,
  'listen' | 'isShared' | 'upstreamAddresses' | 'maxSockets' | 'counters' | 'onError'
>;

/** Asked for; the kernel gives at most `net.core.rmem_max`. Rides out a burst of about 5,000 small datagrams. */
const publicBufferBytes = 4 * 1024 * 1024;
/** Datagrams of one socket that wait in Node because the kernel takes no more: above it the newest are dropped. */
const maxUnderWay = 64;
/** The same of the public socket, which all players share. */
const maxAnswersUnderWay = 1024;
/** Sends that wait for the end of a turn of the event loop; more do not wait. */
const maxQueued = 256;
/** Every so many datagrams the way through this process is timed. */
const timedEvery = 128;

/** The kernel makes of it the least it knows: room for two or three small datagrams. */
const deafBufferBytes = 1;
const heardBufferBytes = 256 * 1024;

/** Addresses need no resolving, and Node's own lookup costs a turn of the thread pool for each socket. */
function literal(host: string, _options: unknown, done: (error: null, address: string, family: number) => void): void {
  // Asked for each answer that is sent: a look for the colon, where isIPv6 costs a long regular expression.
  done(null, host, host.includes(':') ? 6 : 4);
}

/**
 * The sockets of one worker on node:dgram, which every machine has. What is to be sent waits until all that came in this turn of the event
 * loop is decided, and goes to one replica after the other: a receiver on this machine is woken once, and not for each datagram.
 */
export class DgramPath implements Path<Buffer, DgramPeer, DgramHandle> {
  readonly #options: DgramPathOptions;
  readonly #public: Socket;
  readonly #sources: SourceAddresses;
  #relay: DgramRelay | undefined;
  /** Sockets towards replicas. */
  #open = 0;
  #sinceTimed = 0;
  /** When the datagram that is timed came. */
  #timedMs: number | undefined;
  #underWay = 0;
  /** By place. */
  readonly #toReplicas: Queue<DgramHandle>[] = [];
  readonly #toPlayers: Queue<DgramPeer> = newQueue();
  #queued = 0;

  constructor(options: DgramPathOptions) {
    this.#options = options;
    this.#sources = new SourceAddresses(options.upstreamAddresses);
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
    this.flush();
    await new Promise<void>((resolve) => this.#public.close(resolve));
  }

  open(leg: DgramLeg): DgramHandle | undefined {
    const { address, port } = leg.place;
    if (this.#open >= this.#options.maxSockets) return undefined;
    const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', lookup: literal as never });
    const handle: DgramHandle = {
      socket,
      queue: this.#queueOf(leg.place.place),
      underWay: 0,
      isStale: false,
      onSent: (error) => {
        handle.underWay--;
        if (error !== null) this.#failed(leg, error);
      },
    };
    let isBound = true;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.syscall === 'bind') isBound = false;
      this.#failed(leg, error);
    });
    socket.on('message', (message) => {
      if (!handle.isStale) this.#relay?.fromReplica(leg, message, performance.now());
    });
    const source = this.#sources.next(address);
    // Both finish before they return, because nothing is looked up; why they failed is told by an event.
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

  forget(): void {}

  sendUpstream(handle: DgramHandle, packet: Buffer): void {
    if (handle.underWay >= maxUnderWay) {
      this.#relay?.drop('upstream-full');
      return;
    }
    handle.underWay++;
    this.#queue(handle.queue, handle, packet);
  }

  sendDownstream(peer: DgramPeer, packet: Buffer): void {
    if (this.#underWay >= maxAnswersUnderWay) {
      this.#relay?.drop('downstream-full');
      return;
    }
    this.#underWay++;
    this.#queue(this.#toPlayers, peer, packet);
  }

  /** Sends what is queued. */
  flush(): void {
    if (this.#queued === 0) return;
    this.#queued = 0;
    for (const queue of this.#toReplicas)
      if (queue !== undefined) empty(queue, ({ socket, onSent }, packet) => socket.send(packet, onSent));
    empty(this.#toPlayers, ({ address, port }, packet) => this.#public.send(packet, port, address, this.#onReplySent));
    if (this.#timedMs === undefined) return;
    this.#options.counters.tookUs((performance.now() - this.#timedMs) * 1000);
    this.#timedMs = undefined;
  }

  readonly samplesDeaf = false;

  /** node:dgram can set what lets two sockets share a port only before the first is bound, when anybody could take it. */
  isolate(): boolean {
    return false;
  }

  keep(packet: Buffer): Buffer {
    return Buffer.from(packet);
  }

  size(packet: Buffer): number {
    return packet.length;
  }

  deafen(handle: DgramHandle, isDeaf: boolean): undefined {
    const reader = readerOf(handle.socket);
    if (reader === undefined) return;
    if (isDeaf) {
      // What waits unread is old by the time it is read, and would be kernel memory for nothing.
      handle.socket.setRecvBufferSize(deafBufferBytes);
      reader.recvStop();
      return;
    }
    handle.socket.setRecvBufferSize(heardBufferBytes);
    reader.recvStart();
    handle.isStale = true;
    // The first may come before the event loop next polls its sockets; at the second everything that waited has been read.
    setImmediate(() =>
      setImmediate(() => {
        handle.isStale = false;
      }),
    );
  }

  readonly #onReplySent = (error: Error | null): void => {
    this.#underWay--;
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
    if (++this.#sinceTimed >= timedEvery) {
      this.#sinceTimed = 0;
      this.#timedMs = nowMs;
    }
    relay.fromPlayer(session, message, nowMs);
  }

  #queueOf(place: number): Queue<DgramHandle> {
    const queue = this.#toReplicas[place] ?? newQueue<DgramHandle>();
    this.#toReplicas[place] = queue;
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

  #notOpened(leg: DgramLeg, error: NodeJS.ErrnoException): void {
    // Too few sockets is counted; anything else deserves to be said.
    if (hasCode(error, 'EMFILE', 'ENFILE')) return;
    this.#options.onError(error);
    if (!hasCode(error, 'EAGAIN', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL')) this.#relay?.unreachable(leg);
  }

  #failed(leg: DgramLeg, error: NodeJS.ErrnoException): void {
    if (error.syscall === 'bind' || error.syscall === 'connect') {
      this.#notOpened(leg, error);
      return;
    }
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

function newQueue<Target>(): Queue<Target> {
  return { targets: [], packets: [] };
}

function empty<Target>({ targets, packets }: Queue<Target>, send: (target: Target, packet: Buffer) => void): void {
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
 * The part of node:dgram that starts and stops reading. It has no public name; where a version of Node hides it, every reply is
 * read, which costs time and nothing else.
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
