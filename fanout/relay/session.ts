import type { ReplyTracker } from './reply-tracker.ts';
import type { Entry } from './session-table.ts';

/** The place of one replica in counters and sessions. */
export interface ReplicaSlot {
  /** 0 to `maxReplicas` - 1; reused after the replica is gone. */
  readonly index: number;
  /** Distinguishes replicas that used the same slot. */
  readonly generation: number;
  /**
   * Recoveries after an outage. Each one voids the count of outstanding replies, because an unknown number was lost.
   */
  readonly recoveries: number;
  readonly address: string;
  readonly port: number;
}

/** The replicas and the primary, as the control plane sets them for every worker. */
export interface View {
  readonly slots: readonly ReplicaSlot[];
  /** Index of the primary's slot; undefined: no primary. */
  readonly primary: number | undefined;
  /** Whether the previous primary still replies, so that its outstanding replies are worth waiting for. */
  readonly isPlanned: boolean;
}

/** One player's socket to one replica. */
export interface UpstreamSocket<Packet, Peer, Handle> extends ReplyTracker {
  readonly session: Session<Packet, Peer, Handle>;
  slot: ReplicaSlot;
  /** The transport's handle; undefined until the socket is open. */
  handle: Handle | undefined;
  /** Time of the next attempt to open the socket. */
  triedAgainMs: number;
  /** The kernel drops the replies of a muted socket. */
  isMuted: boolean;
  /** Datagrams sent and replies read while muted. */
  mutedSends: number;
  mutedReplies: number;
  /** Datagrams still to be sent unmuted until the outstanding replies are known. */
  calibrationLeft: number;
}

/** Replies of the old primary that go first, and replies of the new one that wait for them. */
export interface Tail<Packet, Peer, Handle> {
  readonly socket: UpstreamSocket<Packet, Peer, Handle>;
  remaining: number;
  readonly untilMs: number;
  readonly held: Packet[];
}

export interface Session<Packet, Peer, Handle> extends Entry {
  /** Its spares stay unmuted under load, to show that they are alive. */
  isSampler: boolean;
  readonly peer: Peer;
  /** By slot index. */
  readonly sockets: (UpstreamSocket<Packet, Peer, Handle> | undefined)[];
  /** Epoch of the last view applied to the session. */
  epoch: number;
  answering: UpstreamSocket<Packet, Peer, Handle> | undefined;
  /** The next replica to answer, once its outstanding replies are known. */
  next: { readonly socket: UpstreamSocket<Packet, Peer, Handle>; readonly untilMs: number } | undefined;
  /** Replies of the answering replica that the player already has. */
  skip: number;
  skipUntilMs: number;
  tail: Tail<Packet, Peer, Handle> | undefined;
  /** Whether isolation was tried. */
  isIsolated: boolean;
  bytesIn: number;
  bytesOut: number;
}

/** The sockets, as the relay uses them. Failures are reported through the relay's methods, never thrown. */
export interface Transport<Packet, Peer, Handle> {
  /**
   * Whether a muted socket still passes a sample of its replies. If not, some sockets must stay unmuted as signs of
   * life.
   */
  readonly samplesMuted: boolean;
  /**
   * Opens a socket connected to the replica; its replies go to `relay.fromReplica`. undefined: no socket is available.
   */
  open(socket: UpstreamSocket<Packet, Peer, Handle>): Handle | undefined;
  close(handle: Handle): void;
  /** The player's session has ended. */
  removePeer(peer: Peer): void;
  /**
   * Gives the player a receive buffer of its own, which others cannot fill; false: not possible. It costs a descriptor,
   * and the player's datagrams no longer share a batch with others.
   */
  isolate(peer: Peer): boolean;
  /** Sends in order. `packet` is valid only until the call that delivered it returns. */
  sendUpstream(handle: Handle, packet: Packet): void;
  sendDownstream(peer: Peer, packet: Packet): void;
  /** A copy of `packet` that stays valid. */
  copy(packet: Packet): Packet;
  size(packet: Packet): number;
  /**
   * Stops a spare's replies as early as possible, or lets them through again. Returns the number dropped since the last
   * call for this socket; undefined: unknown.
   */
  mute(handle: Handle, isMuted: boolean): number | undefined;
}
