import { sourceNetwork } from '../endpoint.ts';
import type { Counters, DropReason } from './counters.ts';
import { FloodDetector } from './flood-detector.ts';
import { Handovers } from './handovers.ts';
import { ReplySampling } from './reply-sampling.ts';
import { clearOutstanding, idleResetMs, newReplyTracker, resetTracker } from './reply-tracker.ts';
import type { ReplicaSlot, Session, Transport, UpstreamSocket, View } from './session.ts';
import { type SessionLimits, SessionTable } from './session-table.ts';
import { fullBucket, type Rate, type TokenBucket, take } from './token-bucket.ts';

export interface RelayLimits extends SessionLimits {
  readonly totalRate: Rate;
  /** Bytes sent to an unconfirmed player, as a multiple of the bytes received from it. 0: no limit. */
  readonly amplification: number;
  /** Maximum duration of a change of primary for one player: the wait for the old primary's outstanding replies. */
  readonly handoverMs: number;
  /** Datagrams a second to the replicas above which the kernel drops the spares' replies. 0: never. */
  readonly muteAbove: number;
}

export interface RelayParts<Packet, Peer, Handle> {
  readonly limits: RelayLimits;
  readonly transport: Transport<Packet, Peer, Handle>;
  readonly counters: Counters;
  /** A replica's port is closed (ICMP), or there is no route to it. */
  readonly onRefused: (slot: ReplicaSlot) => void;
}

/** IP and UDP headers: counted in both directions, so that empty datagrams count too. */
const headerBytes = 28;
/** Pause before opening a socket is tried again; with each datagram it would be thousands of times a second. */
const socketRetryMs = 200;
/** Sessions checked for expiry per tick, so that a full table never delays datagrams for long. */
const sweepPerTick = 2000;

/**
 * The data path: copies each player's datagram to every replica and returns the primary's replies. It holds the
 * sessions and decides; {@link Transport} holds the sockets and acts. Times are milliseconds of a monotonic clock.
 */
export class Relay<Packet, Peer, Handle> {
  readonly #limits: RelayLimits;
  readonly #transport: Transport<Packet, Peer, Handle>;
  readonly #counters: Counters;
  readonly #table: SessionTable<Session<Packet, Peer, Handle>>;
  readonly #total: TokenBucket;
  readonly #sampling: ReplySampling<Packet, Peer, Handle>;
  readonly #handovers: Handovers<Packet, Peer, Handle>;
  readonly #flood = new FloodDetector();
  readonly #onRefused: (slot: ReplicaSlot) => void;
  #view: View = { slots: [], primary: undefined, isPlanned: false };
  /** Increases with each view; a session of an older epoch is outdated. */
  #epoch = 0;
  #outdated: Iterator<Session<Packet, Peer, Handle>> | undefined;
  #isDraining = false;

  constructor({ limits, transport, counters, onRefused }: RelayParts<Packet, Peer, Handle>, nowMs: number) {
    this.#limits = limits;
    this.#transport = transport;
    this.#counters = counters;
    this.#onRefused = onRefused;
    this.#table = new SessionTable(limits, nowMs);
    this.#total = fullBucket(limits.totalRate, nowMs);
    this.#sampling = new ReplySampling(transport, limits.muteAbove);
    this.#handovers = new Handovers({
      ...{ transport, counters, sampling: this.#sampling, handoverMs: limits.handoverMs },
      isPlanned: () => this.#view.isPlanned,
      forward: (session, packet) => this.#forward(session, packet),
    });
  }

  get sessions(): number {
    return this.#table.size;
  }

  find(key: string): Session<Packet, Peer, Handle> | undefined {
    return this.#table.find(key);
  }

  /** Whether any new session would be refused now, which needs no address; counts the datagram as dropped. */
  refusesNewSessions(nowMs: number): boolean {
    if (!this.#isDraining && this.#table.hasCreationLeft(nowMs)) return false;
    this.#counters.drop(this.#isDraining ? 'draining' : 'session-rate');
    return true;
  }

  /**
   * Opens a session, or counts the reason for refusing it. `key` is the player's address and port, `address` its
   * address alone.
   */
  open(peer: Peer, key: string, address: string, nowMs: number): Session<Packet, Peer, Handle> | undefined {
    const sourceName = sourceNetwork(address);
    const refusal = this.#isDraining ? 'draining' : this.#table.admit(sourceName, nowMs);
    if (refusal !== undefined) {
      this.#counters.drop(refusal);
      return undefined;
    }
    const evicted = this.#table.toEvict();
    if (evicted !== undefined) this.#end(evicted, 'sessionsEvicted');
    const session: Session<Packet, Peer, Handle> = {
      key,
      peer,
      source: this.#table.source(sourceName, nowMs),
      openedAtMs: nowMs,
      lastSeenMs: nowMs,
      datagrams: 0,
      isUnconfirmed: true,
      isSampler: false,
      sockets: [],
      epoch: -1,
      answering: undefined,
      next: undefined,
      skip: 0,
      skipUntilMs: 0,
      tail: undefined,
      isIsolated: false,
      bytesIn: 0,
      bytesOut: 0,
    };
    this.#table.add(session);
    this.#counters.add('sessionsOpened');
    // Updated at once, not at the next tick: the drain ends when this counter reads 0.
    this.#counters.set('sessions', this.#table.size);
    return session;
  }

  /** Copies a player's datagram to every replica. */
  fromPlayer(session: Session<Packet, Peer, Handle>, packet: Packet, nowMs: number): void {
    const counters = this.#counters;
    const bytes = this.#transport.size(packet);
    counters.add('datagramsIn');
    counters.add('bytesIn', bytes);
    const isIdle = nowMs - session.lastSeenMs > idleResetMs;
    const refusal = this.#rateRefusal(session, nowMs);
    if (refusal !== undefined) {
      counters.drop(refusal);
      return;
    }
    session.bytesIn += bytes + headerBytes;
    if (this.#flood.isOn && !session.isUnconfirmed && !session.isIsolated) this.#isolate(session);
    if (session.epoch !== this.#epoch) this.#updateSession(session, nowMs);
    let copies = 0;
    for (const socket of session.sockets) {
      if (socket === undefined || !this.#ensureOpen(socket, nowMs)) continue;
      if (isIdle) clearOutstanding(socket);
      if (this.#sampling.sent(socket)) {
        this.#handovers.calibrated(socket, nowMs);
        this.#sampling.updateMute(socket);
      }
      counters.sent(socket.slot.index);
      if (socket.handle !== undefined) this.#transport.sendUpstream(socket.handle, packet);
      copies++;
    }
    if (copies === 0) counters.drop('no-upstream');
    counters.add('datagramsUpstream', copies);
    counters.add('bytesUpstream', bytes * copies);
  }

  /** Forwards a replica's reply to the player if that replica answers the session. */
  fromReplica(socket: UpstreamSocket<Packet, Peer, Handle>, packet: Packet, nowMs: number): void {
    const { session } = socket;
    this.#counters.add('repliesIn');
    this.#counters.replied(socket.slot.index);
    if (session.epoch !== this.#epoch) this.#updateSession(session, nowMs);
    this.#sampling.replied(socket);
    if (socket === session.answering) this.#handovers.answer(session, packet, nowMs);
    else if (socket === session.tail?.socket) this.#handovers.answerLate(session, session.tail, packet);
    else this.#counters.add('spareReplies');
  }

  /** Counts a datagram that the transport could not send. */
  drop(reason: DropReason): void {
    this.#counters.drop(reason);
  }

  /** No socket can be connected to the replica: there is no route. */
  unreachable(socket: UpstreamSocket<Packet, Peer, Handle>): void {
    this.#onRefused(socket.slot);
  }

  /** The replica's port is closed. */
  refused(socket: UpstreamSocket<Packet, Peer, Handle>): void {
    this.#counters.drop('upstream-refused');
    // The datagrams sent there are lost: no reply is outstanding.
    resetTracker(socket);
    this.#onRefused(socket.slot);
  }

  /** Sets the replicas and the primary. Sessions follow in slices, those with traffic at once. */
  apply(view: View): void {
    this.#view = view;
    this.#epoch++;
    this.#outdated = this.#table.all();
  }

  /** Refuses new sessions from now on. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Applies the current view to up to `max` outdated sessions; true: more are left. */
  updateSessions(max: number, nowMs: number): boolean {
    for (let aligned = 0; this.#outdated !== undefined && aligned < max; aligned++) {
      const next = this.#outdated.next();
      if (next.done === true) this.#outdated = undefined;
      else if (next.value.epoch !== this.#epoch) this.#updateSession(next.value, nowMs);
    }
    return this.#outdated !== undefined;
  }

  /** Does the periodic work: expired sessions, handovers that time out, flood detection, muting. */
  tick(nowMs: number): void {
    for (const session of this.#table.expired(nowMs, sweepPerTick)) this.#end(session, 'sessionsExpired');
    this.#handovers.tick(nowMs);
    this.#flood.update(this.#counters.dropped('session-rate'), nowMs);
    if (this.#sampling.update(this.#counters.total('datagramsUpstream'), this.#table, nowMs)) this.apply(this.#view);
    this.#counters.set('unconfirmedSessions', this.#table.unconfirmedSize);
  }

  close(): void {
    for (const session of [...this.#table.all()]) this.#end(session, 'sessionsExpired');
  }

  #rateRefusal(session: Session<Packet, Peer, Handle>, nowMs: number): DropReason | undefined {
    if (!take(this.#total, this.#limits.totalRate, nowMs)) return 'total-rate';
    return this.#table.touch(session, nowMs) ? undefined : 'source-rate';
  }

  #forward(session: Session<Packet, Peer, Handle>, packet: Packet): void {
    const bytes = this.#transport.size(packet);
    const maxBytes = session.isUnconfirmed ? this.#limits.amplification * session.bytesIn : Number.POSITIVE_INFINITY;
    if (this.#limits.amplification > 0 && session.bytesOut + bytes + headerBytes > maxBytes) {
      this.#counters.drop('amplification');
      return;
    }
    session.bytesOut += bytes + headerBytes;
    this.#counters.add('datagramsOut');
    this.#counters.add('bytesOut', bytes);
    this.#transport.sendDownstream(session.peer, packet);
  }

  #updateSession(session: Session<Packet, Peer, Handle>, nowMs: number): void {
    const { slots, primary } = this.#view;
    session.epoch = this.#epoch;
    const old = session.sockets.slice();
    session.sockets.length = 0;
    for (const slot of slots) {
      const kept = old[slot.index];
      const isSame = kept !== undefined && kept.slot.generation === slot.generation;
      session.sockets[slot.index] = isSame ? kept : newSocket(session, slot);
      if (isSame && kept.slot.recoveries !== slot.recoveries) this.#sampling.resetAfterOutage(kept, slot);
    }
    const answering = primary === undefined ? undefined : session.sockets[primary];
    this.#handovers.switchTo(session, answering, nowMs);
    for (const socket of old)
      if (socket !== undefined && session.sockets[socket.slot.index] !== socket) this.#closeUpstream(socket);
    for (const socket of session.sockets) if (socket !== undefined) this.#sampling.updateMute(socket);
  }

  /** Opens sockets lazily, so that a new replica does not cost thousands of sockets at once. */
  #ensureOpen(socket: UpstreamSocket<Packet, Peer, Handle>, nowMs: number): boolean {
    if (socket.handle !== undefined) return true;
    if (nowMs >= socket.triedAgainMs) {
      socket.triedAgainMs = nowMs + socketRetryMs;
      socket.handle = this.#transport.open(socket);
    }
    if (socket.handle === undefined) this.#counters.drop('no-socket');
    else this.#sampling.updateMute(socket);
    return socket.handle !== undefined;
  }

  #isolate(session: Session<Packet, Peer, Handle>): void {
    if (!this.#flood.mayIsolate()) return;
    session.isIsolated = true;
    if (this.#transport.isolate(session.peer)) this.#counters.add('sessionsIsolated');
  }

  #closeUpstream(socket: UpstreamSocket<Packet, Peer, Handle>): void {
    if (socket.handle !== undefined) this.#transport.close(socket.handle);
    socket.handle = undefined;
  }

  #end(session: Session<Packet, Peer, Handle>, counted: 'sessionsExpired' | 'sessionsEvicted'): void {
    this.#table.remove(session);
    this.#handovers.end(session);
    this.#sampling.end(session);
    for (const socket of session.sockets) if (socket !== undefined) this.#closeUpstream(socket);
    this.#transport.removePeer(session.peer);
    this.#counters.add(counted);
    this.#counters.set('sessions', this.#table.size);
  }
}

function newSocket<Packet, Peer, Handle>(
  session: Session<Packet, Peer, Handle>,
  slot: ReplicaSlot,
): UpstreamSocket<Packet, Peer, Handle> {
  return {
    session,
    slot,
    handle: undefined,
    triedAgainMs: 0,
    isMuted: false,
    mutedSends: 0,
    mutedReplies: 0,
    calibrationLeft: 0,
    ...newReplyTracker(),
  };
}
