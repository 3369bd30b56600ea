import type { Entry } from './session-table.ts';
import type { Tally } from './tally.ts';

/** One replica as the relay sees it. */
export interface Place {
  /** 0 to `maxReplicas` - 1; given to another replica only after this one has gone. */
  readonly place: number;
  /** Tells two replicas apart that have had the same place. */
  readonly generation: number;
  /** How often it has come back after an outage: what it owed before is void, and nobody can say how much of it was lost. */
  readonly returns: number;
  readonly address: string;
  readonly port: number;
}

/** What the control plane wants of every worker. */
export interface View {
  readonly places: readonly Place[];
  /** Place of the primary; undefined: nobody may answer. */
  readonly primary: number | undefined;
  /** Whether the primary before this one still answers, so that what it owes may be waited for. */
  readonly isPlanned: boolean;
}

/** One socket: a player as one replica sees it. */
export interface Leg<Packet, Peer, Handle> extends Tally {
  readonly session: Session<Packet, Peer, Handle>;
  place: Place;
  /** Undefined while it has no socket. */
  handle: Handle | undefined;
  /** When it is tried again to open one that was not to be had. */
  triedAgainMs: number;
  /** A deaf leg's replies are dropped before they reach this process. */
  isDeaf: boolean;
  /** Sent and heard while deaf. */
  deafSends: number;
  deafReplies: number;
  /** Stays in hearing for so many datagrams more, until it is known again what it owes. */
  probation: number;
}

/** Answers of the old primary that still go first, and those of the new one that wait for them. */
export interface Tail<Packet, Peer, Handle> {
  readonly leg: Leg<Packet, Peer, Handle>;
  remaining: number;
  readonly untilMs: number;
  readonly held: Packet[];
}

export interface Session<Packet, Peer, Handle> extends Entry {
  /** Its spares are heard even under load, as a sign of life. */
  isPost: boolean;
  readonly peer: Peer;
  /** By place. */
  readonly legs: (Leg<Packet, Peer, Handle> | undefined)[];
  /** Number of the view that it was last brought in line with. */
  epoch: number;
  answering: Leg<Packet, Peer, Handle> | undefined;
  /** Who answers next, once it is known what it owes. */
  next: { readonly leg: Leg<Packet, Peer, Handle>; readonly untilMs: number } | undefined;
  /** Answers of the answering leg that repeat what the player has had. */
  skip: number;
  skipUntilMs: number;
  tail: Tail<Packet, Peer, Handle> | undefined;
  /** Whether it was tried to give the player a receive buffer of its own. */
  isIsolated: boolean;
  bytesIn: number;
  bytesOut: number;
}

/** The sockets, as the relay uses them. Failures come back through the relay's own methods, never as exceptions. */
export interface Path<Packet, Peer, Handle> {
  /** Whether some replies of a deaf leg still come through. Otherwise some legs must not be deaf, to show that replicas live. */
  readonly samplesDeaf: boolean;
  /** A socket connected to the replica, whose replies go to `relay.fromReplica`; undefined where there is none to be had. */
  open(leg: Leg<Packet, Peer, Handle>): Handle | undefined;
  close(handle: Handle): void;
  /** The player's session is gone. */
  forget(peer: Peer): void;
  /**
   * Gives the player a receive buffer that nobody else can fill; false where that is not possible. It costs a descriptor and the
   * player's share in batches.
   */
  isolate(peer: Peer): boolean;
  /** Sends in order; `packet` is valid until the call that brought it returns. */
  sendUpstream(handle: Handle, packet: Packet): void;
  sendDownstream(peer: Peer, packet: Packet): void;
  /** A copy of `packet` that stays valid. */
  keep(packet: Packet): Packet;
  size(packet: Packet): number;
  /**
   * Stops a spare's replies as early as possible, or lets them through again. Returns how many were dropped since the last call
   * for this socket; undefined where nobody counted.
   */
  deafen(handle: Handle, isDeaf: boolean): number | undefined;
}
