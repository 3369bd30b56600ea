import type { Counters } from './counters.ts';
import type { ReplySampling } from './reply-sampling.ts';
import { isOneForOne, planSwitchover } from './reply-tracker.ts';
import type { Session, Tail, Transport, UpstreamSocket } from './session.ts';

/** By then a new primary that was behind has caught up, or its count was wrong. */
const repeatedForMs = 1000;
/** Maximum number of one player's replies that wait for the old primary's. */
const maxHeld = 32;
/** Maximum time for which a planned change waits until the new primary's outstanding replies are counted. */
const maxCalibrationMs = 600;

export interface HandoverParts<Packet, Peer, Handle> {
  readonly transport: Pick<Transport<Packet, Peer, Handle>, 'samplesMuted' | 'copy'>;
  readonly counters: Counters;
  readonly sampling: ReplySampling<Packet, Peer, Handle>;
  /** Maximum time to wait for the old primary's outstanding replies. */
  readonly handoverMs: number;
  /** Whether the last change of primary was planned, so that the old primary still replies. */
  readonly isPlanned: () => boolean;
  /** Sends a reply to the player. */
  readonly forward: (session: Session<Packet, Peer, Handle>, packet: Packet) => void;
}

/**
 * Changes the replica that answers a player without repeating a reply or losing one that the old replica still sends.
 */
export class Handovers<Packet, Peer, Handle> {
  readonly #parts: HandoverParts<Packet, Peer, Handle>;
  readonly #tails = new Set<Session<Packet, Peer, Handle>>();
  readonly #calibrating = new Set<Session<Packet, Peer, Handle>>();

  constructor(parts: HandoverParts<Packet, Peer, Handle>) {
    this.#parts = parts;
  }

  /**
   * Switches the session to another replica, at once or once its outstanding replies are counted; undefined: to none.
   */
  switchTo(
    session: Session<Packet, Peer, Handle>,
    to: UpstreamSocket<Packet, Peer, Handle> | undefined,
    nowMs: number,
  ): void {
    if (to === session.answering) session.next = undefined;
    else if (to !== undefined && this.#mustCalibrateFirst(session, to)) this.#calibrate(session, to, nowMs);
    else this.#switchOver(session, to, nowMs);
  }

  /** A replica's outstanding replies have been counted. */
  calibrated(socket: UpstreamSocket<Packet, Peer, Handle>, nowMs: number): void {
    if (socket.session.next?.socket === socket) this.#switchOver(socket.session, socket, nowMs);
  }

  /** Handles a reply of the primary: drops repeats, and holds it back while the old primary's replies are due first. */
  answer(session: Session<Packet, Peer, Handle>, packet: Packet, nowMs: number): void {
    const { transport, counters, forward } = this.#parts;
    if (session.skip > 0 && nowMs <= session.skipUntilMs) {
      session.skip--;
      counters.drop('handover');
      return;
    }
    session.skip = 0;
    const { tail } = session;
    if (tail === undefined) forward(session, packet);
    else {
      tail.held.push(transport.copy(packet));
      if (nowMs >= tail.untilMs || tail.held.length >= maxHeld) this.#endTail(session);
    }
  }

  /** Handles an outstanding reply of the old primary. */
  answerLate(session: Session<Packet, Peer, Handle>, tail: Tail<Packet, Peer, Handle>, packet: Packet): void {
    this.#parts.forward(session, packet);
    if (--tail.remaining === 0) this.#endTail(session);
  }

  tick(nowMs: number): void {
    for (const session of this.#tails)
      if (session.tail !== undefined && nowMs >= session.tail.untilMs) this.#endTail(session);
    for (const session of this.#calibrating)
      if (session.next === undefined) this.#calibrating.delete(session);
      else if (nowMs >= session.next.untilMs) this.#switchOver(session, session.next.socket, nowMs);
  }

  end(session: Session<Packet, Peer, Handle>): void {
    this.#tails.delete(session);
    this.#calibrating.delete(session);
    session.tail = undefined;
  }

  /**
   * While the old primary still replies and the new one's replies are not counted, a switch would lose or repeat some.
   */
  #mustCalibrateFirst(
    { answering, sockets, next }: Session<Packet, Peer, Handle>,
    to: UpstreamSocket<Packet, Peer, Handle>,
  ): boolean {
    const { transport, isPlanned } = this.#parts;
    if (!isPlanned() || answering === undefined || sockets[answering.slot.index] !== answering) return false;
    return next?.socket === to || (to.isMuted && !transport.samplesMuted && isOneForOne(answering));
  }

  #calibrate(
    session: Session<Packet, Peer, Handle>,
    socket: UpstreamSocket<Packet, Peer, Handle>,
    nowMs: number,
  ): void {
    if (session.next?.socket === socket) return;
    session.next = { socket, untilMs: nowMs + maxCalibrationMs };
    this.#calibrating.add(session);
    this.#parts.sampling.startCalibration(socket);
  }

  #switchOver(
    session: Session<Packet, Peer, Handle>,
    to: UpstreamSocket<Packet, Peer, Handle> | undefined,
    nowMs: number,
  ): void {
    const { sampling, handoverMs, isPlanned } = this.#parts;
    const from = session.answering;
    if (session.tail !== undefined) this.#endTail(session);
    session.answering = to;
    session.next = undefined;
    this.#calibrating.delete(session);
    session.skip = 0;
    if (to === undefined) return;
    sampling.updateMute(to);
    const { skip, tail } = planSwitchover(from, to, isPlanned());
    session.skip = skip;
    session.skipUntilMs = nowMs + repeatedForMs;
    if (tail === 0 || from === undefined) return;
    session.tail = { socket: from, remaining: tail, untilMs: nowMs + handoverMs, held: [] };
    this.#tails.add(session);
  }

  #endTail(session: Session<Packet, Peer, Handle>): void {
    const { forward, sampling } = this.#parts;
    const { tail } = session;
    session.tail = undefined;
    this.#tails.delete(session);
    for (const packet of tail?.held ?? []) forward(session, packet);
    if (tail !== undefined) sampling.updateMute(tail.socket);
  }
}
