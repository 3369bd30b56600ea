import { catchUp, countReply, countSend, idleResetMs, resetTracker } from './reply-tracker.ts';
import type { ReplicaSlot, Session, Transport, UpstreamSocket } from './session.ts';

/** Datagrams sent to a replica that recovered before its replies may be muted again. */
const calibrationSends = 24;
/** The last of these: only they count towards the outstanding replies. */
const countedSends = 16;
/**
 * Sessions whose spares stay unmuted on a transport that cannot sample. They are replaced when fewer than `minSamplers`
 * are left.
 */
const maxSamplers = 4;
const minSamplers = 2;
/** Maximum number of sessions examined when samplers are chosen. */
const maxScanned = 2000;

interface Sessions<Packet, Peer, Handle> {
  readonly size: number;
  all(): Iterable<Session<Packet, Peer, Handle>>;
}

/**
 * Decides which replies are read. Under load the kernel drops the spares' replies, and its drop counter tells how many
 * are outstanding.
 */
export class ReplySampling<Packet, Peer, Handle> {
  readonly #transport: Pick<Transport<Packet, Peer, Handle>, 'samplesMuted' | 'mute'>;
  readonly #muteAbove: number;
  readonly #samplers = new Set<Session<Packet, Peer, Handle>>();
  #mutesSpares = false;
  #load = { atMs: 0, datagrams: 0 };

  /** `muteAbove`: datagrams a second to the replicas above which spares are muted; 0: never. */
  constructor(transport: Pick<Transport<Packet, Peer, Handle>, 'samplesMuted' | 'mute'>, muteAbove: number) {
    this.#transport = transport;
    this.#muteAbove = muteAbove;
  }

  /** Counts a datagram sent to a replica; true: this one completes the calibration. */
  sent(socket: UpstreamSocket<Packet, Peer, Handle>): boolean {
    if (socket.isMuted) socket.mutedSends++;
    else countSend(socket);
    if (socket.calibrationLeft === 0) return false;
    socket.calibrationLeft--;
    // The first replies arrived while old ones were still being discarded, so they were not all counted.
    if (socket.calibrationLeft === countedSends) resetTracker(socket);
    return socket.calibrationLeft === 0;
  }

  replied(socket: UpstreamSocket<Packet, Peer, Handle>): void {
    if (socket.isMuted) socket.mutedReplies++;
    else countReply(socket);
  }

  /** Keeps the socket unmuted until its outstanding replies are counted. */
  startCalibration(socket: UpstreamSocket<Packet, Peer, Handle>): void {
    socket.calibrationLeft = calibrationSends;
  }

  /** Mutes a spare under load. The replica that answers, or still owes replies, is never muted. */
  updateMute(socket: UpstreamSocket<Packet, Peer, Handle>): void {
    const { session } = socket;
    const isNeeded =
      socket === session.answering ||
      socket === session.tail?.socket ||
      session.isSampler ||
      socket.calibrationLeft > 0;
    const isMuted = this.#mutesSpares && !isNeeded;
    if (socket.handle === undefined || socket.isMuted === isMuted) return;
    const dropped = this.#transport.mute(socket.handle, isMuted);
    socket.isMuted = isMuted;
    if (isMuted) return;
    if (dropped === undefined) resetTracker(socket);
    else catchUp(socket, socket.mutedSends, dropped + socket.mutedReplies);
    socket.mutedSends = 0;
    socket.mutedReplies = 0;
  }

  /**
   * After an outage some datagrams and replies still belong to the time before. An unmuted socket corrects such a wrong
   * count as soon as nothing is outstanding; the kernel's counter never would.
   */
  resetAfterOutage(socket: UpstreamSocket<Packet, Peer, Handle>, slot: ReplicaSlot): void {
    socket.slot = slot;
    if (socket.isMuted && socket.handle !== undefined) this.#transport.mute(socket.handle, false);
    socket.isMuted = false;
    socket.mutedSends = 0;
    socket.mutedReplies = 0;
    this.startCalibration(socket);
    resetTracker(socket);
  }

  /**
   * Measures the load once a second; `datagrams` is the total sent to replicas. true: `updateMute` must run for all
   * sockets.
   */
  update(datagrams: number, sessions: Sessions<Packet, Peer, Handle>, nowMs: number): boolean {
    if (nowMs - this.#load.atMs < 1000) return false;
    const perSecond = ((datagrams - this.#load.datagrams) * 1000) / (nowMs - this.#load.atMs);
    this.#load = { atMs: nowMs, datagrams };
    const above = this.#muteAbove;
    // Muting ends at half the rate at which it begins, so that a load at the limit does not toggle it.
    const wants = above > 0 && perSecond > (this.#mutesSpares ? above / 2 : above);
    const hasNewSamplers = wants && !this.#transport.samplesMuted && this.#chooseSamplers(sessions, nowMs);
    if (wants === this.#mutesSpares && !hasNewSamplers) return false;
    this.#mutesSpares = wants;
    return true;
  }

  end(session: Session<Packet, Peer, Handle>): void {
    this.#samplers.delete(session);
  }

  /** Chooses some busy sessions as samplers; true: the choice has changed. */
  #chooseSamplers(sessions: Sessions<Packet, Peer, Handle>, nowMs: number): boolean {
    for (const sampler of this.#samplers) if (nowMs - sampler.lastSeenMs > idleResetMs) this.#samplers.delete(sampler);
    if (this.#samplers.size >= Math.min(minSamplers, sessions.size)) return false;
    let looked = 0;
    for (const session of sessions.all()) {
      if (this.#samplers.size >= maxSamplers || ++looked > maxScanned) break;
      session.isSampler = nowMs - session.lastSeenMs <= idleResetMs;
      if (session.isSampler) this.#samplers.add(session);
    }
    return true;
  }
}
