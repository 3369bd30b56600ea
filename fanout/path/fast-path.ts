import { constants } from 'node:os';
import { getSystemErrorMessage } from 'node:util';
import { formatEndpoint } from '../endpoint.ts';
import type { Relay } from '../relay/relay.ts';
import type { Leg, Path, Session } from '../relay/session.ts';
import type { Addon, Sockets } from './addon.ts';
import type { PlaneOptions } from './plane-options.ts';
import { SourceAddresses } from './source-addresses.ts';

/** A slot of the batch that was received, or a copy of one. */
export type FastPacket = number | Buffer;
/** Ids that the addon gives to players and sockets. */
export type FastLeg = Leg<FastPacket, number, number>;
export type FastSession = Session<FastPacket, number, number>;
export type FastRelay = Relay<FastPacket, number, number>;

/** The layout of the arrays shared with native/fanout.c, and its kinds. */
const recordInts = 4;
const slots = 128 + 256;
const maxRecords = slots + 256;
const sendInts = 3;
const maxSends = slots * 16;
const fromPlayer = 0;
const fromReplica = 1;
const legError = 2;
const toReplica = 0;
const toPlayer = 1;

/** Batches in a row before timers and other sockets get their turn: some milliseconds at full load. */
const roundsPerTurn = 16;
/** After a batch smaller than this nothing much waits: libuv says when there is more, which is one system call less. */
const smallBatch = 32;
/** One reply of so many is let through from a deaf leg, as a sign of life. */
const deafSampling = 16;
/** Every so many batches the way through this process is timed. */
const timedEvery = 32;

const { ECONNREFUSED, EADDRNOTAVAIL, EAGAIN, ENOBUFS, ENOMEM, EMFILE, ENFILE } = constants.errno;
const isFull = (errno: number) => errno === EAGAIN || errno === ENOBUFS || errno === ENOMEM;
const isOutOfFiles = (errno: number) => errno === EMFILE || errno === ENFILE;

export type FastPathOptions = PlaneOptions & { readonly addon: Addon; readonly maxReplicas: number };

/** The sockets of one worker on batched system calls. What is sent waits in `sends` until the batch is decided. */
export class FastPath implements Path<FastPacket, number, number> {
  readonly #options: FastPathOptions;
  readonly #addon: Addon;
  readonly #sockets: Sockets;
  readonly #sources: SourceAddresses;
  readonly #records = new Int32Array(maxRecords * recordInts);
  readonly #sends = new Int32Array(maxSends * sendInts);
  readonly #sessions: (FastSession | undefined)[] = [];
  readonly #legs: (FastLeg | undefined)[] = [];
  readonly #batch = new Int32Array(maxRecords * recordInts);
  readonly #lengths = new Int32Array(slots);
  /** Sockets towards replicas. */
  #open = 0;
  /** Players with a socket of their own. */
  readonly #isolated = new Set<number>();
  #queued = 0;
  #rounds = 0;
  #relay: FastRelay | undefined;

  /** Throws where the address cannot be had. */
  constructor(options: FastPathOptions) {
    this.#options = options;
    this.#addon = options.addon;
    this.#sources = new SourceAddresses(options.upstreamAddresses);
    const { listen, isShared, limits, maxReplicas, trainBytes } = options;
    const opened = options.addon.open(
      this.#records,
      this.#sends,
      this.#onReadable,
      listen.host,
      listen.port,
      isShared,
      limits.maxSessions + 1,
      (limits.maxSessions + 1) * maxReplicas,
      trainBytes,
    );
    if (typeof opened === 'number') throw new SocketError('open', opened);
    this.#sockets = opened;
  }

  readonly samplesDeaf = true;

  get port(): number {
    return this.#addon.port(this.#sockets);
  }

  start(relay: FastRelay): void {
    this.#relay = relay;
  }

  /** Closes every socket. The path cannot be used afterwards. */
  stop(): void {
    this.#relay = undefined;
    this.#addon.close(this.#sockets);
  }

  open(leg: FastLeg): number | undefined {
    const { address, port } = leg.place;
    if (!this.#hasRoom()) return undefined;
    const id = this.#addon.openLeg(this.#sockets, address, port, this.#sources.next(address) ?? '');
    if (id < 0) {
      this.#notOpened(leg, -id);
      return undefined;
    }
    this.#legs[id] = leg;
    this.#open++;
    return id;
  }

  close(id: number): void {
    // What waits for this socket goes first: the number may be given to another one.
    this.flush();
    this.#legs[id] = undefined;
    this.#open--;
    this.#addon.closeLeg(this.#sockets, id);
  }

  forget(peer: number): void {
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

  sendUpstream(leg: number, packet: FastPacket): void {
    if (typeof packet === 'number') this.#queue(toReplica, leg, packet);
  }

  sendDownstream(peer: number, packet: FastPacket): void {
    if (typeof packet === 'number') {
      this.#queue(toPlayer, peer, packet);
      return;
    }
    // Kept answers are newer than those that are queued.
    this.flush();
    const error = this.#addon.sendBytes(this.#sockets, peer, packet);
    if (error < 0) this.#relay?.drop(isFull(-error) ? 'downstream-full' : 'downstream-error');
  }

  keep(packet: FastPacket): FastPacket {
    return typeof packet === 'number' ? this.#addon.bytes(this.#sockets, packet) : packet;
  }

  size(packet: FastPacket): number {
    return typeof packet === 'number' ? (this.#lengths[packet] ?? 0) : packet.length;
  }

  deafen(leg: number, isDeaf: boolean): number | undefined {
    const dropped = this.#addon.deafen(this.#sockets, leg, isDeaf, deafSampling);
    return dropped < 0 ? undefined : dropped;
  }

  /** Sends what is queued. */
  flush(): void {
    if (this.#queued === 0) return;
    const count = this.#queued;
    this.#queued = 0;
    const failed = this.#addon.flush(this.#sockets, count);
    for (let at = 0; at < failed * recordInts; at += recordInts) {
      const errno = this.#records[at + 3] ?? 0;
      if (this.#records[at] === legError) this.#legFailed(this.#records[at + 1] ?? -1, errno);
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
      if (++this.#rounds % timedEvery === 0) this.#options.counters.tookUs((performance.now() - nowMs) * 1000);
      if (count < smallBatch) return;
    }
  };

  #decide(relay: FastRelay, count: number, nowMs: number): void {
    // Decisions can flush, and a flush writes its errors over the records: what is still to be read must not be lost.
    const records = this.#batch;
    records.set(this.#records.subarray(0, count * recordInts));
    for (let at = 0; at < count * recordInts; at += recordInts) {
      const id = records[at + 1] ?? -1;
      const slot = records[at + 2] ?? -1;
      const value = records[at + 3] ?? 0;
      const kind = records[at];
      if (kind === fromPlayer) {
        this.#lengths[slot] = value;
        const session = this.#sessions[id] ?? this.#newcomer(relay, slot, nowMs);
        if (session !== undefined) relay.fromPlayer(session, slot, nowMs);
      } else if (kind === fromReplica) {
        this.#lengths[slot] = value;
        const leg = this.#legs[id];
        if (leg !== undefined) relay.fromReplica(leg, slot, nowMs);
      } else if (kind === legError) this.#legFailed(id, value);
      else this.#options.onError(new SocketError('receive', -value));
    }
  }

  #newcomer(relay: FastRelay, slot: number, nowMs: number): FastSession | undefined {
    // Earlier in the same batch the player may have got a session.
    const known = this.#sessions[this.#addon.find(this.#sockets, slot)];
    if (known !== undefined) return known;
    if (relay.refusesNewcomers(nowMs)) return undefined;
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

  #notOpened(leg: FastLeg, errno: number): void {
    // Too few sockets is counted; anything else deserves to be said.
    if (isOutOfFiles(errno)) return;
    const { address: host, port } = leg.place;
    this.#options.onError(new SocketError(`connect to ${formatEndpoint({ host, port })}`, -errno));
    if (!isFull(errno) && errno !== EADDRNOTAVAIL) this.#relay?.unreachable(leg);
  }

  #legFailed(id: number, errno: number): void {
    const leg = this.#legs[id];
    if (leg === undefined) return;
    if (errno === ECONNREFUSED) this.#relay?.refused(leg);
    else this.#relay?.drop(isFull(errno) ? 'upstream-full' : 'upstream-error');
  }
}

class SocketError extends Error {
  constructor(act: string, errno: number) {
    super(`Cannot ${act}: ${getSystemErrorMessage(errno)}`);
    this.name = 'SocketError';
  }
}
