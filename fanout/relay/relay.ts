import { sourceOf } from '../endpoint.ts';
import type { Counters, DropReason } from './counters.ts';
import { Flood } from './flood.ts';
import { Handovers } from './handovers.ts';
import { Hearing } from './hearing.ts';
import type { Leg, Path, Place, Session, View } from './session.ts';
import { type SessionLimits, SessionTable } from './session-table.ts';
import { forget, newTally, settle, settledAfterMs } from './tally.ts';
import { fullBucket, type Rate, type TokenBucket, take } from './token-bucket.ts';

export interface RelayLimits extends SessionLimits {
  readonly totalRate: Rate;
  /** Bytes that may go to a player before its session is established, as a multiple of what came from there. 0: no limit. */
  readonly amplification: number;
  /** How long a change of primary may take for one player: answers that the old one owes are waited for so long. */
  readonly handoverMs: number;
  /** From so many datagrams a second to the replicas on, the spares' replies are stopped in the kernel. 0: never. */
  readonly deafenAbove: number;
}

export interface RelayParts<Packet, Peer, Handle> {
  readonly limits: RelayLimits;
  readonly path: Path<Packet, Peer, Handle>;
  readonly counters: Counters;
  /** Nobody listens at a replica's port, as the kernel knows from an ICMP answer, or it knows no way there. */
  readonly onRefused: (place: Place) => void;
}

/** Address, port and UDP header of a datagram: counted on both sides, so that an empty one counts too. */
const headerBytes = 28;
/** A socket that was not to be had is asked for again after so long: not with each datagram, of which there may be thousands. */
const socketRetryMs = 200;
/** Sessions looked at in one tick, so that a full table never stops the datagrams for long. */
const sweepPerTick = 2000;

/**
 * The data path between sockets: every datagram of a player to every replica, the primary's answers back. It holds the sessions
 * and decides; {@link Path} holds the sockets and acts. Times are milliseconds of a clock that never runs backwards.
 */
export class Relay<Packet, Peer, Handle> {
  readonly #limits: RelayLimits;
  readonly #path: Path<Packet, Peer, Handle>;
  readonly #counters: Counters;
  readonly #table: SessionTable<Session<Packet, Peer, Handle>>;
  readonly #total: TokenBucket;
  readonly #hearing: Hearing<Packet, Peer, Handle>;
  readonly #handovers: Handovers<Packet, Peer, Handle>;
  readonly #flood = new Flood();
  readonly #onRefused: (place: Place) => void;
  #view: View = { places: [], primary: undefined, isPlanned: false };
  /** Counts the views: a session that was brought in line with an older one is behind. */
  #epoch = 0;
  #unaligned: Iterator<Session<Packet, Peer, Handle>> | undefined;
  #isDraining = false;

  constructor({ limits, path, counters, onRefused }: RelayParts<Packet, Peer, Handle>, nowMs: number) {
    this.#limits = limits;
    this.#path = path;
    this.#counters = counters;
    this.#onRefused = onRefused;
    this.#table = new SessionTable(limits, nowMs);
    this.#total = fullBucket(limits.totalRate, nowMs);
    this.#hearing = new Hearing(path, limits.deafenAbove);
    this.#handovers = new Handovers({
      ...{ path, counters, hearing: this.#hearing, handoverMs: limits.handoverMs },
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

  /** Says without an address whether a new session is out of the question; counts the datagram as dropped then. */
  refusesNewcomers(nowMs: number): boolean {
    if (!this.#isDraining && this.#table.hasCreationLeft(nowMs)) return false;
    this.#counters.drop(this.#isDraining ? 'draining' : 'session-rate');
    return true;
  }

  /** Opens a session for a player, or counts why not. `key` is the player's whole address, `address` the part without port. */
  open(peer: Peer, key: string, address: string, nowMs: number): Session<Packet, Peer, Handle> | undefined {
    const sourceName = sourceOf(address);
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
      isYoung: true,
      isPost: false,
      legs: [],
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
    // At once: a drain ends when it reads that there are none.
    this.#counters.set('sessions', this.#table.size);
    return session;
  }

  /** A datagram of a player goes to every replica. */
  fromPlayer(session: Session<Packet, Peer, Handle>, packet: Packet, nowMs: number): void {
    const counters = this.#counters;
    const bytes = this.#path.size(packet);
    counters.add('datagramsIn');
    counters.add('bytesIn', bytes);
    const isSettled = nowMs - session.lastSeenMs > settledAfterMs;
    const refusal = this.#refusalOf(session, nowMs);
    if (refusal !== undefined) {
      counters.drop(refusal);
      return;
    }
    session.bytesIn += bytes + headerBytes;
    if (this.#flood.isOn && !session.isYoung && !session.isIsolated) this.#isolate(session);
    if (session.epoch !== this.#epoch) this.#align(session, nowMs);
    let copies = 0;
    for (const leg of session.legs) {
      if (leg === undefined || !this.#isOpen(leg, nowMs)) continue;
      if (isSettled) settle(leg);
      if (this.#hearing.sent(leg)) {
        this.#handovers.known(leg, nowMs);
        this.#hearing.fit(leg);
      }
      counters.sent(leg.place.place);
      if (leg.handle !== undefined) this.#path.sendUpstream(leg.handle, packet);
      copies++;
    }
    if (copies === 0) counters.drop('no-upstream');
    counters.add('datagramsUpstream', copies);
    counters.add('bytesUpstream', bytes * copies);
  }

  /** A reply of a replica goes to the player if the replica is the one that answers it. */
  fromReplica(leg: Leg<Packet, Peer, Handle>, packet: Packet, nowMs: number): void {
    const { session } = leg;
    this.#counters.add('repliesIn');
    this.#counters.replied(leg.place.place);
    if (session.epoch !== this.#epoch) this.#align(session, nowMs);
    this.#hearing.replied(leg);
    if (leg === session.answering) this.#handovers.answer(session, packet, nowMs);
    else if (leg === session.tail?.leg) this.#handovers.answerLate(session, session.tail, packet);
    else this.#counters.add('spareReplies');
  }

  /** A datagram that the path could not pass on. */
  drop(reason: DropReason): void {
    this.#counters.drop(reason);
  }

  /** No way leads to the replica: no socket can be connected to it. */
  unreachable(leg: Leg<Packet, Peer, Handle>): void {
    this.#onRefused(leg.place);
  }

  /** Nobody listens at the replica's port. */
  refused(leg: Leg<Packet, Peer, Handle>): void {
    this.#counters.drop('upstream-refused');
    // What was sent there is lost, and nothing of it is owed.
    forget(leg);
    this.#onRefused(leg.place);
  }

  /** Takes over who the replicas are and who answers. Sessions follow in slices, those with traffic at once. */
  apply(view: View): void {
    this.#view = view;
    this.#epoch++;
    this.#unaligned = this.#table.all();
  }

  /** From now on only players who have a session are served. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Brings up to `most` sessions in line with the newest view; true: more are left. */
  alignSome(most: number, nowMs: number): boolean {
    for (let aligned = 0; this.#unaligned !== undefined && aligned < most; aligned++) {
      const next = this.#unaligned.next();
      if (next.done === true) this.#unaligned = undefined;
      else if (next.value.epoch !== this.#epoch) this.#align(next.value, nowMs);
    }
    return this.#unaligned !== undefined;
  }

  /** What time alone brings: expired sessions, ended handovers, the choice whether spares are heard. */
  tick(nowMs: number): void {
    for (const session of this.#table.expired(nowMs, sweepPerTick)) this.#end(session, 'sessionsExpired');
    this.#handovers.tick(nowMs);
    this.#flood.weigh(this.#counters.dropped('session-rate'), nowMs);
    if (this.#hearing.weigh(this.#counters.total('datagramsUpstream'), this.#table, nowMs)) this.apply(this.#view);
    this.#counters.set('youngSessions', this.#table.youngSize);
  }

  close(): void {
    for (const session of [...this.#table.all()]) this.#end(session, 'sessionsExpired');
  }

  #refusalOf(session: Session<Packet, Peer, Handle>, nowMs: number): DropReason | undefined {
    if (!take(this.#total, this.#limits.totalRate, nowMs)) return 'total-rate';
    return this.#table.touch(session, nowMs) ? undefined : 'source-rate';
  }

  #forward(session: Session<Packet, Peer, Handle>, packet: Packet): void {
    const bytes = this.#path.size(packet);
    const maxBytes = session.isYoung ? this.#limits.amplification * session.bytesIn : Number.POSITIVE_INFINITY;
    if (this.#limits.amplification > 0 && session.bytesOut + bytes + headerBytes > maxBytes) {
      this.#counters.drop('amplification');
      return;
    }
    session.bytesOut += bytes + headerBytes;
    this.#counters.add('datagramsOut');
    this.#counters.add('bytesOut', bytes);
    this.#path.sendDownstream(session.peer, packet);
  }

  #align(session: Session<Packet, Peer, Handle>, nowMs: number): void {
    const { places, primary } = this.#view;
    session.epoch = this.#epoch;
    const old = session.legs.slice();
    session.legs.length = 0;
    for (const place of places) {
      const kept = old[place.place];
      const isSame = kept !== undefined && kept.place.generation === place.generation;
      session.legs[place.place] = isSame ? kept : newLeg(session, place);
      if (isSame && kept.place.returns !== place.returns) this.#hearing.startOver(kept, place);
    }
    const answering = primary === undefined ? undefined : session.legs[primary];
    this.#handovers.turn(session, answering, nowMs);
    for (const leg of old) if (leg !== undefined && session.legs[leg.place.place] !== leg) this.#closeLeg(leg);
    for (const leg of session.legs) if (leg !== undefined) this.#hearing.fit(leg);
  }

  /** Sockets are opened with the first datagram that needs them, so a new replica costs nothing at once. */
  #isOpen(leg: Leg<Packet, Peer, Handle>, nowMs: number): boolean {
    if (leg.handle !== undefined) return true;
    if (nowMs >= leg.triedAgainMs) {
      leg.triedAgainMs = nowMs + socketRetryMs;
      leg.handle = this.#path.open(leg);
    }
    if (leg.handle === undefined) this.#counters.drop('no-socket');
    else this.#hearing.fit(leg);
    return leg.handle !== undefined;
  }

  /** Those who play are kept apart from a flood of newcomers. */
  #isolate(session: Session<Packet, Peer, Handle>): void {
    if (!this.#flood.mayIsolate()) return;
    session.isIsolated = true;
    if (this.#path.isolate(session.peer)) this.#counters.add('sessionsIsolated');
  }

  #closeLeg(leg: Leg<Packet, Peer, Handle>): void {
    if (leg.handle !== undefined) this.#path.close(leg.handle);
    leg.handle = undefined;
  }

  #end(session: Session<Packet, Peer, Handle>, counted: 'sessionsExpired' | 'sessionsEvicted'): void {
    this.#table.remove(session);
    this.#handovers.end(session);
    this.#hearing.end(session);
    for (const leg of session.legs) if (leg !== undefined) this.#closeLeg(leg);
    this.#path.forget(session.peer);
    this.#counters.add(counted);
    this.#counters.set('sessions', this.#table.size);
  }
}

function newLeg<Packet, Peer, Handle>(session: Session<Packet, Peer, Handle>, place: Place): Leg<Packet, Peer, Handle> {
  return {
    session,
    place,
    handle: undefined,
    triedAgainMs: 0,
    isDeaf: false,
    deafSends: 0,
    deafReplies: 0,
    probation: 0,
    ...newTally(),
  };
}
