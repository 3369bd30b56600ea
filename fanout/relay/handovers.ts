import type { Counters } from './counters.ts';
import type { Hearing } from './hearing.ts';
import type { Leg, Path, Session, Tail } from './session.ts';
import { isOneForOne, planCut } from './tally.ts';

/** A new primary that is behind has caught up by then, or the count was wrong. */
const repeatedForMs = 1000;
/** Answers that wait for those of the old primary, one player. */
const maxHeld = 32;
/** A planned change waits no longer until it is known what the new primary owes. */
const maxListeningMs = 600;

export interface HandoverParts<Packet, Peer, Handle> {
  readonly path: Pick<Path<Packet, Peer, Handle>, 'samplesDeaf' | 'keep'>;
  readonly counters: Counters;
  readonly hearing: Hearing<Packet, Peer, Handle>;
  /** How long answers that the old primary owes are waited for. */
  readonly handoverMs: number;
  /** Whether the last change of primary was planned: the old one still answers. */
  readonly isPlanned: () => boolean;
  /** Sends an answer to the player. */
  readonly forward: (session: Session<Packet, Peer, Handle>, packet: Packet) => void;
}

/** Changes of the replica that answers a player: none of its answers is repeated, and none is lost that the old one still gives. */
export class Handovers<Packet, Peer, Handle> {
  readonly #parts: HandoverParts<Packet, Peer, Handle>;
  readonly #tails = new Set<Session<Packet, Peer, Handle>>();
  readonly #listening = new Set<Session<Packet, Peer, Handle>>();

  constructor(parts: HandoverParts<Packet, Peer, Handle>) {
    this.#parts = parts;
  }

  /** Lets another replica answer, at once or as soon as it is known what it owes; undefined: nobody. */
  turn(session: Session<Packet, Peer, Handle>, to: Leg<Packet, Peer, Handle> | undefined, nowMs: number): void {
    if (to === session.answering) session.next = undefined;
    else if (to !== undefined && this.#mustListenFirst(session, to)) this.#listen(session, to, nowMs);
    else this.#cut(session, to, nowMs);
  }

  /** It has become known what a replica owes. */
  known(leg: Leg<Packet, Peer, Handle>, nowMs: number): void {
    if (leg.session.next?.leg === leg) this.#cut(leg.session, leg, nowMs);
  }

  /** An answer of the primary: repeats are dropped, and what the old primary still owes goes first. */
  answer(session: Session<Packet, Peer, Handle>, packet: Packet, nowMs: number): void {
    const { path, counters, forward } = this.#parts;
    if (session.skip > 0 && nowMs <= session.skipUntilMs) {
      session.skip--;
      counters.drop('handover');
      return;
    }
    session.skip = 0;
    const { tail } = session;
    if (tail === undefined) forward(session, packet);
    else {
      tail.held.push(path.keep(packet));
      if (nowMs >= tail.untilMs || tail.held.length >= maxHeld) this.#endTail(session);
    }
  }

  /** An answer that the old primary still owed. */
  answerLate(session: Session<Packet, Peer, Handle>, tail: Tail<Packet, Peer, Handle>, packet: Packet): void {
    this.#parts.forward(session, packet);
    if (--tail.remaining === 0) this.#endTail(session);
  }

  tick(nowMs: number): void {
    for (const session of this.#tails)
      if (session.tail !== undefined && nowMs >= session.tail.untilMs) this.#endTail(session);
    for (const session of this.#listening)
      if (session.next === undefined) this.#listening.delete(session);
      else if (nowMs >= session.next.untilMs) this.#cut(session, session.next.leg, nowMs);
  }

  end(session: Session<Packet, Peer, Handle>): void {
    this.#tails.delete(session);
    this.#listening.delete(session);
    session.tail = undefined;
  }

  /** The old primary still answers, and of the new one nobody has counted the answers: a switch now would lose or repeat some. */
  #mustListenFirst({ answering, legs, next }: Session<Packet, Peer, Handle>, to: Leg<Packet, Peer, Handle>): boolean {
    const { path, isPlanned } = this.#parts;
    if (!isPlanned() || answering === undefined || legs[answering.place.place] !== answering) return false;
    return next?.leg === to || (to.isDeaf && !path.samplesDeaf && isOneForOne(answering));
  }

  #listen(session: Session<Packet, Peer, Handle>, leg: Leg<Packet, Peer, Handle>, nowMs: number): void {
    if (session.next?.leg === leg) return;
    session.next = { leg, untilMs: nowMs + maxListeningMs };
    this.#listening.add(session);
    this.#parts.hearing.listenTo(leg);
  }

  /** From here on another replica answers. */
  #cut(session: Session<Packet, Peer, Handle>, to: Leg<Packet, Peer, Handle> | undefined, nowMs: number): void {
    const { hearing, handoverMs, isPlanned } = this.#parts;
    const from = session.answering;
    if (session.tail !== undefined) this.#endTail(session);
    session.answering = to;
    session.next = undefined;
    this.#listening.delete(session);
    session.skip = 0;
    if (to === undefined) return;
    hearing.fit(to);
    const { skip, tail } = planCut(from, to, isPlanned());
    session.skip = skip;
    session.skipUntilMs = nowMs + repeatedForMs;
    if (tail === 0 || from === undefined) return;
    session.tail = { leg: from, remaining: tail, untilMs: nowMs + handoverMs, held: [] };
    this.#tails.add(session);
  }

  #endTail(session: Session<Packet, Peer, Handle>): void {
    const { forward, hearing } = this.#parts;
    const { tail } = session;
    session.tail = undefined;
    this.#tails.delete(session);
    for (const packet of tail?.held ?? []) forward(session, packet);
    if (tail !== undefined) hearing.fit(tail.leg);
  }
}
