import { constants } from 'node:os';
import { getSystemErrorMessage } from 'node:util';
import { formatEndpoint } from '../endpoint.ts';
import type { Relay } from '../relay/relay.ts';
import type { Session, Transport, UpstreamSocket } from '../relay/session.ts';
import type { WorkerOptions } from '../workers/worker-options.ts';
import type { Addon, Sockets } from './addon.ts';
import { SourceAddresses } from './source-addresses.ts';

/** A slot of the received batch, or a copied datagram. */
export type NativePacket = number | Buffer;
/** Players and sockets are IDs that the addon assigns. */
export type NativeUpstreamSocket = UpstreamSocket<NativePacket, number, number>;
export type NativeSession = Session<NativePacket, number, number>;
export type NativeRelay = Relay<NativePacket, number, number>;

/** Layout and kinds of the arrays shared with native/fanout.c; both files must agree. */
const recordInts = 4;
const slots = 128 + 256;
const maxRecords = slots + 256;
const sendInts = 3;
const maxSends = slots * 16;
const fromPlayer = 0;
const fromReplica = 1;
const upstreamError = 2;
const toReplica = 0;
const toPlayer = 1;

/** Maximum number of batches before timers and other sockets get their turn: some milliseconds at full load. */
const roundsPerTurn = 16;
/** After a smaller batch little is waiting. libuv reports when there is more, which saves one system call. */
const smallBatch = 32;
/** A muted socket passes one reply in this many, as a sign of life. */
const mutedSampling = 16;
/** Latency is measured for one batch in this many. */
const sampleEvery = 32;

const { ECONNREFUSED, EADDRNOTAVAIL, EAGAIN, ENOBUFS, ENOMEM, EMFILE, ENFILE } = constants.errno;
const isFull = (errno: number) => errno === EAGAIN || errno === ENOBUFS || errno === ENOMEM;
const isOutOfFiles = (errno: number) => errno === EMFILE || errno === ENFILE;

export type NativeTransportOptions = WorkerOptions & { readonly addon: Addon; readonly maxReplicas: number };

/**
 * One worker's sockets on batched system calls. Datagrams to send wait in `sends` until the whole batch is processed.
 */
export class NativeTransport implements Transport<NativePacket, number, number> {
  readonly #options: NativeTransportOptions;
  readonly #addon: Addon;
  readonly #sockets: Sockets;
  readonly #sources: SourceAddresses;
  readonly #records = new Int32Array(maxRecords * recordInts);
  readonly #sends = new Int32Array(maxSends * sendInts);
  readonly #sessions: (NativeSession | undefined)[] = [];
  readonly #upstreams: (NativeUpstreamSocket | undefined)[] = [];
  readonly #batch = new Int32Array(maxRecords * recordInts);
  readonly #lengths = new Int32Array(slots);
  /** Number of open upstream sockets. */
  #open = 0;
  /** Players with a socket of their own. */
  readonly #isolated = new Set<number>();
  #queued = 0;
  #rounds = 0;
  #relay: NativeRelay | undefined;

  /** Throws if the address cannot be bound. */
  constructor(options: NativeTransportOptions) {
    this.#options = options;
    this.#addon = options.addon;
    this.#sources = new SourceAddresses(options.upstreamAddresses);
    const { listen, isShared, limits, maxReplicas, gsoMaxBytes } = options;
    const opened = options.addon.open(
      this.#records,
      this.#sends,
      this.#onReadable,
      listen.host,
      listen.port,
      isShared,
      limits.maxSessions + 1,
      (limits.maxSessions + 1) * maxReplicas,
      gsoMaxBytes,
    );
    if (typeof opened === 'number') throw new SocketError('open', opened);
    this.#sockets = opened;
  }

  readonly samplesMuted = true;

  get port(): number {
    return this.#addon.port(this.#sockets);
  }

  start(relay: NativeRelay): void {
    this.#relay = relay;
  }

  /** Closes every socket. The transport cannot be used afterwards. */
  stop(): void {
    this.#relay = undefined;
    this.#addon.close(this.#sockets);
  }

  open(upstream: NativeUpstreamSocket): number | undefined {
    const { address, port } = upstream.slot;
    if (!this.#hasRoom()) return undefined;
    const id = this.#addon.openUpstream(this.#sockets, address, port, this.#sources.next(address) ?? '');
    if (id < 0) {
      this.#notOpened(upstream, -id);
      return undefined;
    }
    this.#upstreams[id] = upstream;
    this.#open++;
    return id;
  }

  close(id: number): void {
    // Queued datagrams must leave before the ID is reused for another socket.
    this.flush();
    this.#upstreams[id] = undefined;
    this.#open--;
    this.#addon.closeUpstream(this.#sockets, id);
  }

  removePeer(peer: number): void {
    this.flush();
    this.#sessions[peer] = undefined;
    this.#isolated.delete(peer);
    this.#addon.closePeer(this.#sockets, peer);
  }

  isolate(peer: number): boolean {
    if (!this.#hasRoom() || this.#addon.isolate(this.#sockets, peer) !== 0) return false;
    this.#isolated.add(peer);
    return true;
  }

  #hasRoom(): boolean {
    return this.#open + this.#isolated.size < this.#options.maxSockets;
  }

  sendUpstream(upstream: number, packet: NativePacket): void {
    if (typeof packet === 'number') this.#queue(toReplica, upstream, packet);
  }

  sendDownstream(peer: number, packet: NativePacket): void {
    if (typeof packet === 'number') {
      this.#queue(toPlayer, peer, packet);
      return;
    }
    // Queued replies are older than this one, so they are sent first.
    this.flush();
    const error = this.#addon.sendBytes(this.#sockets, peer, packet);
    if (error < 0) this.#relay?.drop(isFull(-error) ? 'downstream-full' : 'downstream-error');
  }

  copy(packet: NativePacket): NativePacket {
    return typeof packet === 'number' ? this.#addon.bytes(this.#sockets, packet) : packet;
  }

  size(packet: NativePacket): number {
    return typeof packet === 'number' ? (this.#lengths[packet] ?? 0) : packet.length;
  }

  mute(upstream: number, isMuted: boolean): number | undefined {
    const dropped = this.#addon.mute(this.#sockets, upstream, isMuted, mutedSampling);
    return dropped < 0 ? undefined : dropped;
  }

  /** Sends the queued datagrams. */
  flush(): void {
    if (this.#queued === 0) return;
    const count = this.#queued;
    this.#queued = 0;
    const failed = this.#addon.flush(this.#sockets, count);
    for (let at = 0; at < failed * recordInts; at += recordInts) {
      const errno = this.#records[at + 3] ?? 0;
      if (this.#records[at] === upstreamError) this.#upstreamFailed(this.#records[at + 1] ?? -1, errno);
      else this.#relay?.drop(isFull(errno) ? 'downstream-full' : 'downstream-error');
    }
  }

  readonly #onReadable = (): void => {
    for (let round = 0; round < roundsPerTurn; round++) {
      const count = this.#addon.receive(this.#sockets);
      if (count === 0 || this.#relay === undefined) return;
      const nowMs = performance.now();
      this.#decide(this.#relay, count, nowMs);
      this.flush();
      if (++this.#rounds % sampleEvery === 0)
        this.#options.counters.observeLatencyUs((performance.now() - nowMs) * 1000);
      if (count < smallBatch) return;
    }
  };

  #decide(relay: NativeRelay, count: number, nowMs: number): void {
    // Copied, because a flush while the batch is processed overwrites the records with its errors.
    const records = this.#batch;
    records.set(this.#records.subarray(0, count * recordInts));
    for (let at = 0; at < count * recordInts; at += recordInts) {
      const id = records[at + 1] ?? -1;
      const slot = records[at + 2] ?? -1;
      const value = records[at + 3] ?? 0;
      const kind = records[at];
      if (kind === fromPlayer) {
        this.#lengths[slot] = value;
        const session = this.#sessions[id] ?? this.#sessionOfNewPeer(relay, slot, nowMs);
        if (session !== undefined) relay.fromPlayer(session, slot, nowMs);
      } else if (kind === fromReplica) {
        this.#lengths[slot] = value;
        const upstream = this.#upstreams[id];
        if (upstream !== undefined) relay.fromReplica(upstream, slot, nowMs);
      } else if (kind === upstreamError) this.#upstreamFailed(id, value);
      else this.#options.onError(new SocketError('receive', -value));
    }
  }

  #sessionOfNewPeer(relay: NativeRelay, slot: number, nowMs: number): NativeSession | undefined {
    // An earlier datagram of the same batch may have opened the session.
    const known = this.#sessions[this.#addon.find(this.#sockets, slot)];
    if (known !== undefined) return known;
    if (relay.refusesNewSessions(nowMs)) return undefined;
    const key = this.#addon.address(this.#sockets, slot);
    const peer = this.#addon.openPeer(this.#sockets, slot);
    const session = peer < 0 ? undefined : relay.open(peer, key, key.slice(0, key.indexOf(' ')), nowMs);
    if (session === undefined) this.#addon.closePeer(this.#sockets, peer);
    else this.#sessions[peer] = session;
    return session;
  }

  #queue(kind: number, id: number, slot: number): void {
    const at = this.#queued++ * sendInts;
    this.#sends[at] = kind;
    this.#sends[at + 1] = id;
    this.#sends[at + 2] = slot;
  }

  #notOpened(upstream: NativeUpstreamSocket, errno: number): void {
    // Running out of descriptors is counted as a drop; everything else is also logged.
    if (isOutOfFiles(errno)) return;
    const { address: host, port } = upstream.slot;
    this.#options.onError(new SocketError(`connect to ${formatEndpoint({ host, port })}`, -errno));
    if (!isFull(errno) && errno !== EADDRNOTAVAIL) this.#relay?.unreachable(upstream);
  }

  #upstreamFailed(id: number, errno: number): void {
    const upstream = this.#upstreams[id];
    if (upstream === undefined) return;
    if (errno === ECONNREFUSED) this.#relay?.refused(upstream);
    else this.#relay?.drop(isFull(errno) ? 'upstream-full' : 'upstream-error');
  }
}

class SocketError extends Error {
  constructor(act: string, errno: number) {
    super(`Cannot ${act}: ${getSystemErrorMessage(errno)}`);
    this.name = 'SocketError';
  }
}
