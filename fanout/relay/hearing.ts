import type { Leg, Path, Place, Session } from './session.ts';
import { catchUp, countReply, countSend, forget, settledAfterMs } from './tally.ts';

/** Datagrams to a replica that came back, until its replies may be dropped unread again. */
const probationSends = 24;
/** What it owes is told from the last so many of these. */
const countedSends = 16;
/** Sessions whose spares stay in hearing on sockets that cannot sample: chosen anew when fewer are left. */
const maxPosts = 4;
const minPosts = 2;
/** Sessions looked at for these. */
const maxScanned = 2000;

/** All sessions, as far as posts are chosen among them. */
interface Sessions<Packet, Peer, Handle> {
  readonly size: number;
  all(): Iterable<Session<Packet, Peer, Handle>>;
}

/** Which replies are read at all. Under load those of the spares are dropped in the kernel, and what they owe is told from its count. */
export class Hearing<Packet, Peer, Handle> {
  readonly #path: Pick<Path<Packet, Peer, Handle>, 'samplesDeaf' | 'deafen'>;
  readonly #deafenAbove: number;
  readonly #posts = new Set<Session<Packet, Peer, Handle>>();
  #deafensSpares = false;
  #load = { atMs: 0, datagrams: 0 };

  /** `deafenAbove`: datagrams a second to the replicas from which on spares are deaf; 0: never. */
  constructor(path: Pick<Path<Packet, Peer, Handle>, 'samplesDeaf' | 'deafen'>, deafenAbove: number) {
    this.#path = path;
    this.#deafenAbove = deafenAbove;
  }

  /** Counts a datagram to a replica. true: just now it has become known what the replica owes. */
  sent(leg: Leg<Packet, Peer, Handle>): boolean {
    if (leg.isDeaf) leg.deafSends++;
    else countSend(leg);
    if (leg.probation === 0) return false;
    leg.probation--;
    // The first replies came while the socket was still being emptied of old ones, and are not all counted.
    if (leg.probation === countedSends) forget(leg);
    return leg.probation === 0;
  }

  /** Counts a reply that was read. */
  replied(leg: Leg<Packet, Peer, Handle>): void {
    if (leg.isDeaf) leg.deafReplies++;
    else countReply(leg);
  }

  /** Keeps the leg in hearing until it is known what it owes. */
  listenTo(leg: Leg<Packet, Peer, Handle>): void {
    leg.probation = probationSends;
  }

  /** Spares are deaf under load; who answers, or still owes answers, is always heard. */
  fit(leg: Leg<Packet, Peer, Handle>): void {
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

  /**
   * The replica was away, and some of what it is sent and sends just now belongs to before. In hearing such a wrong count rights itself
   * as soon as nothing is owed; the kernel's never would.
   */
  startOver(leg: Leg<Packet, Peer, Handle>, place: Place): void {
    leg.place = place;
    if (leg.isDeaf && leg.handle !== undefined) this.#path.deafen(leg.handle, false);
    leg.isDeaf = false;
    leg.deafSends = 0;
    leg.deafReplies = 0;
    this.listenTo(leg);
    forget(leg);
  }

  /** Once a second, with the datagrams that have gone to replicas so far. true: others are to be heard than before, see `fit`. */
  weigh(datagrams: number, sessions: Sessions<Packet, Peer, Handle>, nowMs: number): boolean {
    if (nowMs - this.#load.atMs < 1000) return false;
    const perSecond = ((datagrams - this.#load.datagrams) * 1000) / (nowMs - this.#load.atMs);
    this.#load = { atMs: nowMs, datagrams };
    const above = this.#deafenAbove;
    // Twice as much to begin as to end, so that a load at the limit does not switch to and fro.
    const wants = above > 0 && perSecond > (this.#deafensSpares ? above / 2 : above);
    const hasPosts = wants && !this.#path.samplesDeaf && this.#choosePosts(sessions, nowMs);
    if (wants === this.#deafensSpares && !hasPosts) return false;
    this.#deafensSpares = wants;
    return true;
  }

  end(session: Session<Packet, Peer, Handle>): void {
    this.#posts.delete(session);
  }

  /** Keeps some busy sessions as listening posts; true: they are others than before. */
  #choosePosts(sessions: Sessions<Packet, Peer, Handle>, nowMs: number): boolean {
    for (const post of this.#posts) if (nowMs - post.lastSeenMs > settledAfterMs) this.#posts.delete(post);
    if (this.#posts.size >= Math.min(minPosts, sessions.size)) return false;
    let looked = 0;
    for (const session of sessions.all()) {
      if (this.#posts.size >= maxPosts || ++looked > maxScanned) break;
      session.isPost = nowMs - session.lastSeenMs <= settledAfterMs;
      if (session.isPost) this.#posts.add(session);
    }
    return true;
  }
}
