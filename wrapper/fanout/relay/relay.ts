import { sourceOf } from '../endpoint.ts';
import type { Counters, DropReason } from './counters.ts';
import type { Leg, Path, Place, Session, Tail, View } from './session.ts';
import { type SessionLimits, SessionTable } from './session-table.ts';
import { catchUp, countReply, countSend, forget, isOneForOne, newTally, planCut, settle } from './tally.ts';
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
/** A player who sends nothing for so long is owed nothing more: whatever was to come has come. */
const settledAfterMs = 250;
/** A new primary that is behind has caught up by then, or the count was wrong. */
const repeatedForMs = 1000;
/** Answers that wait for those of the old primary, one player. */
const mostHeld = 32;
/** A flood: so many newcomers refused between two looks. */
const floodRefusals = 100;
const floodCheckMs = 50;
/** A socket that was not to be had is asked for again after so long: not with each datagram, of which there may be thousands. */
const socketRetryMs = 200;
/** Players kept apart between two looks, so that this alone takes no noticeable time. */
const mostIsolations = 200;
/** Sessions whose spares stay in hearing on sockets that cannot sample: chosen anew when fewer are left. */
const mostPosts = 4;
const fewestPosts = 2;
/** Datagrams to a replica that came back, until its replies may be dropped unread again. */
const probationSends = 24;
/** What it owes is told from the last so many of these. */
const countedSends = 16;
/** A planned change waits no longer until it is known what the new primary owes. */
const longestListeningMs = 600;
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
  readonly #posts = new Set<Session<Packet, Peer, Handle>>();
  readonly #tails = new Set<Session<Packet, Peer, Handle>>();
  readonly #listening = new Set<Session<Packet, Peer, Handle>>();
  readonly #onRefused: (place: Place) => void;
  #view: View = { places: [], primary: undefined, isPlanned: false };
  /** Counts the views: a session that was brought in line with an older one is behind. */
  #epoch = 0;
  #unaligned: Iterator<Session<Packet, Peer, Handle>> | undefined;
  #isDraining = false;
  #deafensSpares = false;
  #load = { atMs: 0, datagrams: 0 };
  #flood = { atMs: 0, refused: 0, isOn: false, isolations: 0 };

  constructor({ limits, path, counters, onRefused }: RelayParts<Packet, Peer, Handle>, nowMs: number) {
    this.#limits = limits;
    this.#path = path;
    this.#counters = counters;
    this.#onRefused = onRefused;
    this.#table = new SessionTable(limits, nowMs);
    this.#total = fullBucket(limits.totalRate, nowMs);
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
      if (leg.isDeaf) leg.deafSends++;
      else countSend(leg);
      if (leg.probation > 0) this.#weighProbation(leg, nowMs);
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
    if (leg.isDeaf) leg.deafReplies++;
    else countReply(leg);
    if (leg === session.answering) this.#answer(session, packet, nowMs);
    else if (leg === session.tail?.leg) this.#answerLate(session, session.tail, packet);
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
    for (const session of this.#tails)
      if (session.tail !== undefined && nowMs >= session.tail.untilMs) this.#endTail(session);
    for (const session of this.#listening)
      if (session.next === undefined) this.#listening.delete(session);
      else if (nowMs >= session.next.untilMs) this.#cut(session, session.next.leg, nowMs);
    if (nowMs - this.#flood.atMs >= floodCheckMs) this.#weighFlood(nowMs);
    if (nowMs - this.#load.atMs >= 1000) this.#weighLoad(nowMs);
    this.#counters.set('youngSessions', this.#table.youngSize);
  }

  close(): void {
    for (const session of [...this.#table.all()]) this.#end(session, 'sessionsExpired');
  }

  #refusalOf(session: Session<Packet, Peer, Handle>, nowMs: number): DropReason | undefined {
    if (!take(this.#total, this.#limits.totalRate, nowMs)) return 'total-rate';
    return this.#table.touch(session, nowMs) ? undefined : 'source-rate';
  }

  /** An answer of the primary: repeats are dropped, and what the old primary still owes goes first. */
  #answer(session: Session<Packet, Peer, Handle>, packet: Packet, nowMs: number): void {
    if (session.skip > 0 && nowMs <= session.skipUntilMs) {
      session.skip--;
      this.#counters.drop('handover');
      return;
    }
    session.skip = 0;
    const { tail } = session;
    if (tail === undefined) this.#forward(session, packet);
    else {
      tail.held.push(this.#path.keep(packet));
      if (nowMs >= tail.untilMs || tail.held.length >= mostHeld) this.#endTail(session);
    }
  }

  #answerLate(session: Session<Packet, Peer, Handle>, tail: Tail<Packet, Peer, Handle>, packet: Packet): void {
    this.#forward(session, packet);
    if (--tail.remaining === 0) this.#endTail(session);
  }

  #forward(session: Session<Packet, Peer, Handle>, packet: Packet): void {
    const bytes = this.#path.size(packet);
    const mostBytes = session.isYoung ? this.#limits.amplification * session.bytesIn : Number.POSITIVE_INFINITY;
    if (this.#limits.amplification > 0 && session.bytesOut + bytes + headerBytes > mostBytes) {
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
      if (isSame && kept.place.returns !== place.returns) this.#startOver(kept, place);
    }
    const answering = primary === undefined ? undefined : session.legs[primary];
    if (answering === session.answering) session.next = undefined;
    else if (answering !== undefined && this.#mustListenFirst(session, answering))
      this.#listen(session, answering, nowMs);
    else this.#cut(session, answering, nowMs);
    for (const leg of old) if (leg !== undefined && session.legs[leg.place.place] !== leg) this.#closeLeg(leg);
    for (const leg of session.legs) if (leg !== undefined) this.#fitHearing(leg);
  }

  /**
   * The replica was away, and some of what it is sent and sends just now belongs to before. In hearing such a wrong count rights itself
   * as soon as nothing is owed; the kernel's never would.
   */
  #startOver(leg: Leg<Packet, Peer, Handle>, place: Place): void {
    leg.place = place;
    if (leg.isDeaf && leg.handle !== undefined) this.#path.deafen(leg.handle, false);
    leg.isDeaf = false;
    leg.deafSends = 0;
    leg.deafReplies = 0;
    leg.probation = probationSends;
    forget(leg);
  }

  /** Sockets are opened with the first datagram that needs them, so a new replica costs nothing at once. */
  #isOpen(leg: Leg<Packet, Peer, Handle>, nowMs: number): boolean {
    if (leg.handle !== undefined) return true;
    if (nowMs >= leg.triedAgainMs) {
      leg.triedAgainMs = nowMs + socketRetryMs;
      leg.handle = this.#path.open(leg);
    }
    if (leg.handle === undefined) this.#counters.drop('no-socket');
    else this.#fitHearing(leg);
    return leg.handle !== undefined;
  }

  /** The old primary still answers, and of the new one nobody has counted the answers: a switch now would lose or repeat some. */
  #mustListenFirst({ answering, legs, next }: Session<Packet, Peer, Handle>, to: Leg<Packet, Peer, Handle>): boolean {
    if (!this.#view.isPlanned || answering === undefined || legs[answering.place.place] !== answering) return false;
    return next?.leg === to || (to.isDeaf && !this.#path.samplesDeaf && isOneForOne(answering));
  }

  #listen(session: Session<Packet, Peer, Handle>, leg: Leg<Packet, Peer, Handle>, nowMs: number): void {
    if (session.next?.leg === leg) return;
    session.next = { leg, untilMs: nowMs + longestListeningMs };
    this.#listening.add(session);
    leg.probation = probationSends;
  }

  #weighProbation(leg: Leg<Packet, Peer, Handle>, nowMs: number): void {
    leg.probation--;
    // The first replies came while the socket was still being emptied of old ones, and are not all counted.
    if (leg.probation === countedSends) forget(leg);
    if (leg.probation > 0) return;
    if (leg.session.next?.leg === leg) this.#cut(leg.session, leg, nowMs);
    this.#fitHearing(leg);
  }

  /** Another replica answers from here on: neither is an answer repeated nor one lost that the old primary still gives. */
  #cut(session: Session<Packet, Peer, Handle>, to: Leg<Packet, Peer, Handle> | undefined, nowMs: number): void {
    const from = session.answering;
    if (session.tail !== undefined) this.#endTail(session);
    session.answering = to;
    session.next = undefined;
    this.#listening.delete(session);
    session.skip = 0;
    if (to === undefined) return;
    this.#fitHearing(to);
    const { skip, tail } = planCut(from, to, this.#view.isPlanned);
    session.skip = skip;
    session.skipUntilMs = nowMs + repeatedForMs;
    const untilMs = nowMs + this.#limits.handoverMs;
    if (tail === 0 || from === undefined) return;
    session.tail = { leg: from, remaining: tail, untilMs, held: [] };
    this.#tails.add(session);
  }

  #endTail(session: Session<Packet, Peer, Handle>): void {
    const { tail } = session;
    session.tail = undefined;
    this.#tails.delete(session);
    for (const packet of tail?.held ?? []) this.#forward(session, packet);
    if (tail !== undefined) this.#fitHearing(tail.leg);
  }

  /** Spares are deaf under load; who answers, or still owes answers, is always heard. */
  #fitHearing(leg: Leg<Packet, Peer, Handle>): void {
    const { session } = leg;
    const isNeeded = leg === session.answering || leg === session.tail?.leg || session.isPost || leg.probation > 0;
    const isDeaf = this.#deafensSpares && !isNeeded;
    if (leg.handle === undefined || leg.isDeaf === isDeaf) return;
    const dropped = this.#path.deafen(leg.handle, isDeaf);
    leg.isDeaf = isDeaf;
    if (isDeaf) return;
    if (dropped === undefined) forget(leg);
    else catchUp(leg, leg.deafSends, dropped + leg.deafReplies);
    leg.deafSends = 0;
    leg.deafReplies = 0;
  }

  /** Newcomers are refused in numbers that players never come in: those who play are kept apart from them. */
  #weighFlood(nowMs: number): void {
    const refused = this.#counters.dropped('session-rate');
    const isOn = refused - this.#flood.refused > floodRefusals;
    this.#flood = { atMs: nowMs, refused, isOn, isolations: 0 };
  }

  #isolate(session: Session<Packet, Peer, Handle>): void {
    if (this.#flood.isolations >= mostIsolations) return;
    this.#flood.isolations++;
    session.isIsolated = true;
    if (this.#path.isolate(session.peer)) this.#counters.add('sessionsIsolated');
  }

  #weighLoad(nowMs: number): void {
    const datagrams = this.#counters.total('datagramsUpstream');
    const perSecond = ((datagrams - this.#load.datagrams) * 1000) / (nowMs - this.#load.atMs);
    this.#load = { atMs: nowMs, datagrams };
    const { deafenAbove } = this.#limits;
    // Twice as much to begin as to end, so that a load at the limit does not switch to and fro.
    const wants = deafenAbove > 0 && perSecond > (this.#deafensSpares ? deafenAbove / 2 : deafenAbove);
    const hasPosts = wants && !this.#path.samplesDeaf && this.#choosePosts(nowMs);
    if (wants === this.#deafensSpares && !hasPosts) return;
    this.#deafensSpares = wants;
    this.apply(this.#view);
  }

  /** Keeps some busy sessions as listening posts; true: they are others than before. */
  #choosePosts(nowMs: number): boolean {
    for (const post of this.#posts) if (nowMs - post.lastSeenMs > settledAfterMs) this.#posts.delete(post);
    if (this.#posts.size >= Math.min(fewestPosts, this.#table.size)) return false;
    let looked = 0;
    for (const session of this.#table.all()) {
      if (this.#posts.size >= mostPosts || ++looked > sweepPerTick) break;
      session.isPost = nowMs - session.lastSeenMs <= settledAfterMs;
      if (session.isPost) this.#posts.add(session);
    }
    return true;
  }

  #closeLeg(leg: Leg<Packet, Peer, Handle>): void {
    if (leg.handle !== undefined) this.#path.close(leg.handle);
    leg.handle = undefined;
  }

  #end(session: Session<Packet, Peer, Handle>, counted: 'sessionsExpired' | 'sessionsEvicted'): void {
    this.#table.remove(session);
    this.#tails.delete(session);
    this.#listening.delete(session);
    this.#posts.delete(session);
    session.tail = undefined;
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
